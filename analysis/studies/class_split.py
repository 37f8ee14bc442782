"""The view `class_split`: mask AP of the classes with masks in an arm, and of those with boxes only."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparisons import Comparisons, OwnPairs, Pair
from analysis.plots.figures import (
    LEAST_WIDTH,
    OURS,
    REFERENCE,
    THEIRS,
    figure_caption,
    plot_estimates,
    seed_count,
    two_lines,
)
from analysis.published import STATUS_MEANINGS
from analysis.statistics import summarize_arm
from analysis.study import Study
from analysis.study_data import StudyData
from analysis.tables.study_table import OwnColumns, spread
from analysis.verdict import OwnWords, apart_in_words, step_in_words
from core.record import Record

Group = tuple[str, ...]  # classes in the order of the records
SUPERVISION = {"masks": (REFERENCE, "s"), "boxes": (OURS, "o"), "masks for some": (THEIRS, "D")}


NEEDS_X = False


def columns(data: StudyData) -> OwnColumns | None:
    return split_columns(data.results, data.study, data.records_by_arm, data.published)


def figure(data: StudyData, table: pd.DataFrame) -> Figure | None:
    """None if no arm splits the classes."""
    if not class_groups(data.records_by_arm):
        return None
    return split_figure(table, data.results, data.study, data.records_by_arm, data.scale)


def pairs(data: StudyData) -> OwnPairs:
    """The classes without masks of an arm with masks for others, beside the arm with boxes only."""
    groups = class_groups(data.records_by_arm)
    gained = gain_pairs(data.study, data.records_by_arm)
    return OwnPairs(gained, group_results(data.results, data.records_by_arm, groups)) if gained else OwnPairs()


def words(data: StudyData, compared: Comparisons) -> OwnWords:
    return OwnWords(sentences=tuple(gain_sentences(data.study, data.records_by_arm, compared)))


def masked_classes(record: Record) -> frozenset[str]:
    """The classes of a trial whose training instances have masks."""
    supervision = record.config.get("supervision", {})
    if not supervision.get("mask_ratio"):
        return frozenset()
    named = supervision.get("mask_categories")
    return frozenset(record.per_class if named is None else named)


def class_groups(by_arm: Mapping[str, Sequence[Record]]) -> list[Group]:
    """For each arm with masks for some classes, these classes and the others; each group once."""
    groups = []
    for records in by_arm.values():
        for record in records[:1]:
            masked, classes = masked_classes(record), tuple(record.per_class)
            if masked and not masked.issuperset(classes):
                groups.append(tuple(name for name in classes if name in masked))
                groups.append(tuple(name for name in classes if name not in masked))
    return list(dict.fromkeys(group for group in groups if group))


def group_results(
    results: pd.DataFrame, by_arm: Mapping[str, Sequence[Record]], groups: Sequence[Group]
) -> pd.DataFrame:
    """The results with one more column per group: its mean mask AP over classes, NaN without a record."""
    per_trial = {
        (arm, record.seed): {group: _mean([record.per_class.get(name) for name in group]) for group in groups}
        for arm, records in by_arm.items()
        for record in records
        if record.per_class
    }
    added = results.copy()
    for group in groups:
        added[group_name(group)] = [
            per_trial.get((trial.arm, trial.seed), {}).get(group, float("nan")) for trial in results.itertuples()
        ]
    return added


def _mean(values: Sequence[float | None]) -> float:
    present = [value for value in values if value is not None and not np.isnan(value)]
    return float(np.mean(present)) if present else float("nan")


def group_name(group: Group) -> str:
    return f"AP of {', '.join(group)}"


def supervision_of(records: Sequence[Record], group: Group) -> str:
    """The annotations of an arm's training instances of these classes; empty without a record."""
    if not records:
        return ""
    with_masks = set(group) & masked_classes(records[0])
    return "masks" if with_masks == set(group) else "masks for some" if with_masks else "boxes"


def split_columns(
    results: pd.DataFrame, study: Study, by_arm: Mapping[str, Sequence[Record]], published: pd.DataFrame
) -> OwnColumns | None:
    """AP of each group of classes and the annotations of its instances; None if no arm splits the classes."""
    groups = class_groups(by_arm)
    if not groups:
        return None
    added = group_results(results, by_arm, groups)
    numbers, cells = {}, {}
    for group in groups:
        name = group_name(group)
        summaries = {arm: summarize_arm(added, arm, name) for arm in study.arms}
        low_high = {arm: summary.interval or (float("nan"), float("nan")) for arm, summary in summaries.items()}
        numbers[name] = {arm: summary.mean for arm, summary in summaries.items()}
        numbers[f"{name}, sd"] = {arm: summary.sd for arm, summary in summaries.items()}
        numbers[f"{name}, low"] = {arm: low for arm, (low, _) in low_high.items()}
        numbers[f"{name}, high"] = {arm: high for arm, (_, high) in low_high.items()}
        cells[name] = {
            arm: f"{spread(summary)} ({supervision_of(by_arm[arm], group)})" if summary.n else "-"
            for arm, summary in summaries.items()
        }
    notes = ["In parentheses: the annotations of the training instances of these classes in that arm."]
    notes += _published_notes(published, study)
    order = list(study.arms)
    return OwnColumns(pd.DataFrame(numbers).reindex(order), pd.DataFrame(cells).reindex(order), tuple(notes))


def gain_pairs(study: Study, by_arm: Mapping[str, Sequence[Record]]) -> tuple[Pair, ...]:
    """For each arm and group of classes without masks there: the arm beside the one with boxes only, on that group."""
    boxes = _boxes_only(study, by_arm)
    if boxes is None:
        return ()
    return tuple(
        Pair(arm, boxes, group_name(group))
        for arm in study.arms
        for group in class_groups(by_arm)
        if arm != boxes and supervision_of(by_arm[arm], group) == "boxes"
    )


def _boxes_only(study: Study, by_arm: Mapping[str, Sequence[Record]]) -> str | None:
    return next((arm for arm in study.arms if by_arm[arm] and not masked_classes(by_arm[arm][0])), None)


def gain_sentences(study: Study, by_arm: Mapping[str, Sequence[Record]], compared: Comparisons) -> list[str]:
    """The gain of the classes without masks over the arm with boxes only, paired by seed."""
    if class_groups(by_arm) and _boxes_only(study, by_arm) is None:
        return ["The gain of the classes without masks is unknown: no arm with boxes only has a result."]
    sentences = []
    for pair in gain_pairs(study, by_arm):
        found = compared[pair]
        classes = pair.metric.removeprefix(group_name(()))
        sentences.append(
            f"On the classes without masks ({classes}), {step_in_words(study, found)}: {apart_in_words(found)}."
        )
    return sentences


def _published_notes(published: pd.DataFrame, study: Study) -> list[str]:
    theirs = published[(published["table"] == study.name) & (published["metric"] == "mask_AP_unseen")]
    return [
        f"Published, {row.split}: {row.value:g} for {row.method} "
        f"({row.status}: {STATUS_MEANINGS[row.status]}; {row.source})."
        for row in theirs.itertuples()
    ]


def split_figure(
    table: pd.DataFrame,
    results: pd.DataFrame,
    study: Study,
    by_arm: Mapping[str, Sequence[Record]],
    scale: str,
) -> Figure:
    """One panel per group of classes: AP of each arm, marked by the annotations of the group's instances."""
    groups = class_groups(by_arm)
    added = group_results(results, by_arm, groups)
    figure = Figure(figsize=(max(LEAST_WIDTH, 0.75 + 1.1 * len(study.arms) * len(groups)), 4.4))
    axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axis, group in zip(axes, groups, strict=True):
        plot_group(axis, added, study, by_arm, group)
    axes[0].set_ylim(0, 1.14 * max(1.0, *(axis.dataLim.y1 for axis in axes)))
    axes[0].set_ylabel("mask AP, mean over the classes (%)")
    entries = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    title = f"annotations of the training instances of these classes;\n{seed_count(table)}"
    place = {"loc": "outside lower center", "ncols": len(entries)}
    figure.legend(entries.values(), entries.keys(), title=title, **place).get_title().set_multialignment("center")
    figure_caption(figure, None, scale)
    return figure


def plot_group(
    axis: Axes, added: pd.DataFrame, study: Study, by_arm: Mapping[str, Sequence[Record]], group: Group
) -> Axes:
    places = pd.Series(range(len(study.arms)), index=list(study.arms), dtype=float)
    for supervision, (color, marker) in SUPERVISION.items():
        x = places[[arm for arm in study.arms if supervision_of(by_arm[arm], group) == supervision]]
        if len(x):
            plot_estimates(
                axis, x, added, group_name(group), color=color, marker=marker, label=supervision, values=True
            )
    axis.set_xticks(range(len(study.arms)), [two_lines(study.label(arm)) for arm in study.arms])
    axis.set_xlim(-0.5, len(study.arms) - 0.5)
    axis.set_title(", ".join(group))
    axis.grid(axis="y")
    axis.tick_params(axis="x", length=0)
    return axis
