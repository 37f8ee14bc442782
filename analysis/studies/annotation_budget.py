"""The view `annotation_budget`: mask AP over the annotation time of the training images."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis.annotation_cost import SOURCES, AnnotationCost
from analysis.comparisons import Comparisons, OwnPairs
from analysis.plots.figures import OURS, THEIRS, figure_caption, plot_estimates, seed_count
from analysis.statistics import summarize_arm
from analysis.study import Study
from analysis.study_data import StudyData
from analysis.tables.study_table import OwnColumns, number
from analysis.verdict import OwnWords
from core.record import Record

KINDS = {"boxes only": (OURS, "o"), "masks only": (THEIRS, "s"), "masks and boxes": ("#009E73", "^")}
NEAR = (0.2, 0.055)  # points closer than these shares of width and height of the axis: their names would overlap
LINE = 12.5  # points from one name to the next

NEEDS_X = False


def columns(data: StudyData) -> OwnColumns | None:
    return time_columns(data.results, data.study, data.records, data.cost)


def figure(data: StudyData, table: pd.DataFrame) -> Figure | None:
    """None if the study varies no ratio."""
    if annotation_times(data.results, data.records, data.cost)[0].empty:
        return None
    return time_figure(table, data.results, data.study, data.records, data.cost, data.scale)


def pairs(data: StudyData) -> OwnPairs:
    return OwnPairs()


def words(data: StudyData, compared: Comparisons) -> OwnWords:
    return OwnWords()


def annotation_times(
    results: pd.DataFrame, records: dict[str, Record], cost: AnnotationCost
) -> tuple[pd.DataFrame, str]:
    """`time` and `kind` of each arm, and the unit of the time.

    The unit is hours if a record, even of a failed trial, has the number of training instances; otherwise multiples of
    the time for boxes on all images. Images with masks are a subset of the images used, and the share of instances with
    masks is assumed to equal that of images. Empty if the study varies no ratio.
    """
    if "supervision.mask_ratio" not in results:
        return pd.DataFrame(columns=["time", "kind"]), ""
    first = results.groupby("arm", sort=False).first()
    masks = pd.to_numeric(first["supervision.mask_ratio"])
    images = pd.to_numeric(first.get("supervision.image_ratio", pd.Series(1.0, index=first.index)))
    seconds = masks * cost.seconds_per_mask + (images - masks) * cost.seconds_per_box  # per instance of the whole set
    kinds = pd.Series("masks and boxes", index=first.index)
    kinds[masks == 0], kinds[masks == images] = "boxes only", "masks only"
    num_instances = _whole_set(results, images, records)
    if num_instances.notna().all():
        return pd.DataFrame({"time": seconds * num_instances / 3600, "kind": kinds}), "hours"
    return pd.DataFrame({"time": seconds / cost.seconds_per_box, "kind": kinds}), "multiples of boxes on all images"


def _whole_set(results: pd.DataFrame, images: pd.Series, records: dict[str, Record]) -> pd.Series:
    """Number of instances in the whole training set: the count of each arm divided by its share of the images.

    Averaged over the trials of an arm. An arm without a count gets the mean of the others; NaN if none has one.
    """
    counts = [records[key].num_train_instances if key in records else None for key in results["trial_key"]]
    of_trial = pd.Series(counts, index=results.index, dtype=float) / results["arm"].map(images)
    of_arm = of_trial.groupby(results["arm"]).mean().reindex(images.index)
    return of_arm.fillna(of_arm.mean())


def time_columns(
    results: pd.DataFrame, study: Study, records: dict[str, Record], cost: AnnotationCost
) -> OwnColumns | None:
    """Annotation time of each arm; None if the study varies no ratio."""
    times, unit = annotation_times(results, records, cost)
    if times.empty:
        return None
    numbers = times[["time"]].rename(columns={"time": "annotation_time"}).reindex(list(study.arms))
    header = "annotation hours" if unit == "hours" else "annotation time"
    cells = pd.DataFrame({header: [number(time, 2) for time in numbers["annotation_time"]]}, index=numbers.index)
    return OwnColumns(numbers, cells, (cost_sentence(cost, unit),))


def cost_sentence(cost: AnnotationCost, unit: str) -> str:
    seconds = f"{cost.seconds_per_mask:g} s per mask and {cost.seconds_per_box:g} s per box"
    return f"Annotation time in {unit}, at {seconds}. Literature: {SOURCES}."


def time_figure(
    table: pd.DataFrame,
    results: pd.DataFrame,
    study: Study,
    records: dict[str, Record],
    cost: AnnotationCost,
    scale: str,
) -> Figure:
    """Mask AP over annotation time on a logarithmic axis, with the name of each arm."""
    figure = Figure(figsize=(7.4, 5.2))
    axis = plot_time(figure.subplots(), table, results, study, *annotation_times(results, records, cost))
    axis.set_xlabel(f"{axis.get_xlabel()}, {cost.seconds_per_mask:g} s per mask, {cost.seconds_per_box:g} s per box")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=1, alignment="left")
    figure_caption(figure, axis, scale)
    return figure


def plot_time(
    axis: Axes, table: pd.DataFrame, results: pd.DataFrame, study: Study, times: pd.DataFrame, unit: str
) -> Axes:
    axis.set_xscale("log")
    for kind, (color, marker) in KINDS.items():
        x = times.loc[times["kind"] == kind, "time"].reindex([arm for arm in study.arms if arm in times.index]).dropna()
        if x.empty:
            continue
        x = x.sort_values()
        label = f"{kind}, {seed_count(table)}" if kind == next(iter(KINDS)) else kind
        plot_estimates(axis, x, results, "mask_AP", color=color, marker=marker, label=label, line=True)
    low, high = axis.dataLim.intervaly
    axis.set_ylim(max(0.0, low - 0.12 * (high - low) - 1), high + 0.12 * (high - low) + 1)
    axis.set_xlim(axis.dataLim.x0 / 1.35, axis.dataLim.x1 * 2.2)  # room for the names
    _name_arms(axis, results, study, times)
    marks = sorted({float(f"{time:.3g}") for time in times["time"]})
    marks = [mark for i, mark in enumerate(marks) if i == 0 or mark > 1.2 * marks[i - 1]]
    axis.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("annotation time (hours)" if unit == "hours" else f"annotation time ({unit})")
    axis.set_ylabel("mask AP (%)")
    axis.grid(axis="y")
    return axis


def _name_arms(axis: Axes, results: pd.DataFrame, study: Study, times: pd.DataFrame) -> None:
    """The name of each arm right of its mean; names of points that lie together stand above each other."""
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    means = {arm: summarize_arm(results, arm, "mask_AP").mean for arm in study.arms if arm in times.index}
    points = {  # place on the axis, from 0 to 1
        arm: (math.log(times["time"][arm] / left) / math.log(right / left), (mean - low) / (high - low))
        for arm, mean in means.items()
        if not pd.isna(mean)
    }
    groups: list[list[str]] = []
    for arm in sorted(points, key=lambda arm: points[arm][1]):  # upwards
        beside = (group for group in groups if _near(points[group[-1]], points[arm]))
        if (group := next(beside, None)) is not None:
            group.append(arm)
        else:
            groups.append([arm])
    for group in groups:
        anchor = max(times["time"][arm] for arm in group), sum(means[arm] for arm in group) / len(group)
        for place, arm in enumerate(group):
            axis.annotate(
                study.label(arm),
                anchor,
                (8, -3 + LINE * (place - (len(group) - 1) / 2)),
                textcoords="offset points",
                fontsize=8.5,
                color=KINDS[times["kind"][arm]][0],
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85},
                zorder=2.6,
            )


def _near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(one[side] - other[side]) < NEAR[side] for side in (0, 1))
