"""The view `mask_ratio`: mask AP over the share of images with masks, and the share of the gap to full masks closed."""

from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparisons import Comparisons, OwnPairs, Pair
from analysis.plots.figures import OURS, REFERENCE, THEIRS, figure_caption, plot_estimates, seed_count
from analysis.statistics import Summary, share_of_gap, summarize_arm
from analysis.study import Study
from analysis.study_data import StudyData
from analysis.tables.study_table import OwnColumns, number, span
from analysis.verdict import OwnWords, apart_in_words, step_in_words

NEEDS_X = True
NAMED_RATIO = 0.1  # the ratio whose share of the gap is in the verdict
NO_INTERVAL = "the 95 % interval of the gap itself contains 0"
MIXED, TWO_PHASES, MASKS_ONLY, WEIGHTED = (
    "masks and boxes mixed",
    "boxes first, then masks",
    "masks only, no boxes elsewhere",
    "mixed, the term of the masks weighs more",
)
KINDS = {  # use of the images with masks -> color and marker
    MIXED: (OURS, "o"),
    TWO_PHASES: (THEIRS, "s"),
    MASKS_ONLY: ("#009E73", "^"),
    WEIGHTED: ("#CC79A7", "D"),
}


def columns(data: StudyData) -> OwnColumns | None:
    return ratio_columns(data.results, data.study)


def figure(data: StudyData, table: pd.DataFrame) -> Figure | None:
    return ratio_figure(table, data.results, data.study, data.scale)


def pairs(data: StudyData) -> OwnPairs:
    return OwnPairs(pairs_with_mixing(data.results, data.study))


def words(data: StudyData, compared: Comparisons) -> OwnWords:
    return OwnWords(sentences=tuple(gap_sentences(data.results, data.study, compared)))


def ratio_arms(results: pd.DataFrame, study: Study) -> pd.DataFrame:
    """`ratio`, the study's x, and `kind` of each arm, from the fields that the study varies."""
    first = results.groupby("arm", sort=False).first()
    settings = pd.DataFrame(
        {
            "ratio": pd.to_numeric(first[study.x]),
            "boxes_first": pd.to_numeric(first.get("supervision.boxes_first", 0.0)),
            "image_ratio": pd.to_numeric(first.get("supervision.image_ratio", 1.0)),
            "dice": pd.to_numeric(first.get("loss.dice", 1.0)),
        }
    )
    settings["kind"] = MIXED
    settings.loc[settings["dice"] > 1, "kind"] = WEIGHTED
    settings.loc[settings["image_ratio"] < 1, "kind"] = MASKS_ONLY
    settings.loc[settings["boxes_first"] > 0, "kind"] = TWO_PHASES
    return settings[["ratio", "kind"]]


def ends(results: pd.DataFrame, study: Study) -> tuple[str, str] | None:
    """The arms with boxes only and with masks for all images; None if one of them has no result."""
    arms = ratio_arms(results, study)
    finished = set(results.loc[results["mask_AP"].notna(), "arm"])
    found = [arms.index[(arms["ratio"] == ratio) & arms.index.isin(finished)] for ratio in (0, 1)]
    return (found[0][0], found[1][0]) if all(len(index) for index in found) else None


def gaps(results: pd.DataFrame, study: Study) -> dict[str, Summary]:
    """Share of the gap from boxes only to full masks that each arm closes, in percent; empty without both arms."""
    both = ends(results, study)
    return (
        {}
        if both is None
        else {arm: share_of_gap(results, arm, *both, "mask_AP") for arm in ratio_arms(results, study).index}
    )


def gap_sentences(results: pd.DataFrame, study: Study, compared: Comparisons) -> list[str]:
    """Whether AP rises with the ratio, how other uses compare with mixing, and the gap that 10 % of masks close."""
    arms = ratio_arms(results, study)
    mixed = arms[arms["kind"] == MIXED].sort_values("ratio")
    means = [(arm, summarize_arm(results, arm, "mask_AP").mean) for arm in mixed.index]
    means = [(arm, mean) for arm, mean in means if not pd.isna(mean)]
    falls = [
        f"by {number(before - after)} from {study.label(low)} to {study.label(high)}"
        for (low, before), (high, after) in pairwise(means)
        if after <= before
    ]
    rises = (
        f"does not rise with every step of the ratio: it falls {', '.join(falls)}" if falls else "rises with every step"
    )
    sentences = [f"Mean AP {rises}."] if len(means) > 1 else []
    others = [compared[pair] for pair in pairs_with_mixing(results, study)]
    sentences += [f"{step_in_words(study, found)}, mixed: {apart_in_words(found)}." for found in others]
    shares = gaps(results, study)
    for arm in arms.index[arms["ratio"] == NAMED_RATIO]:
        if arm in shares and not pd.isna(shares[arm].mean):
            sentences.append(f"{study.label(arm)} ({arms['kind'][arm]}): gap closed {share_in_words(shares[arm])}.")
    if not shares:
        sentences.append("The gap to full masks is unknown: boxes only or full masks has no result.")
    elif all(share.n == 0 for share in shares.values()):
        sentences.append("The gap to full masks is unknown: boxes only and full masks have no seed in common.")
    elif all(pd.isna(share.mean) for share in shares.values()):
        sentences.append("Full masks are not better than boxes only here, so there is no gap to close.")
    return sentences


def pairs_with_mixing(results: pd.DataFrame, study: Study) -> tuple[Pair, ...]:
    """Each arm of two phases or of another weight with the arm that mixes as many masks into every batch."""
    arms = ratio_arms(results, study)
    return tuple(
        Pair(arm, mixed)
        for arm in arms.index[arms["kind"].isin((TWO_PHASES, WEIGHTED))]
        for mixed in arms.index[(arms["kind"] == MIXED) & (arms["ratio"] == arms["ratio"][arm])]
    )


def share_in_words(share: Summary) -> str:
    if share.interval:
        spread = f"95 % interval {span(*share.interval, 0)} %, n = {share.n}"
    elif share.n == 1:
        spread = "one seed"
    else:
        spread = f"n = {share.n}, no interval: {NO_INTERVAL}"
    return f"{number(share.mean, 0)} % ({spread})"


def ratio_columns(results: pd.DataFrame, study: Study) -> OwnColumns | None:
    """Share of the gap closed by each arm; None if boxes only or full masks has no result."""
    shares = gaps(results, study)
    if not shares:
        return None
    numbers = pd.DataFrame(
        {
            "gap_closed": {arm: shares[arm].mean for arm in study.arms},
            "gap_closed_low": {arm: (shares[arm].interval or (None, None))[0] for arm in study.arms},
            "gap_closed_high": {arm: (shares[arm].interval or (None, None))[1] for arm in study.arms},
        },
        dtype=float,
    ).reindex(list(study.arms))
    cells = pd.DataFrame(
        {
            "gap closed": [number(share, 0, " %") for share in numbers["gap_closed"]],
            "gap closed, 95 % interval": [
                "-" if pd.isna(row.gap_closed_low) else f"{span(row.gap_closed_low, row.gap_closed_high, 0)} %"
                for row in numbers.itertuples()
            ],
        },
        index=numbers.index,
    )
    low, high = (study.label(arm) for arm in ends(results, study))
    note = (
        f"Gap closed: mean difference to {low} as a percentage of the mean difference of {high} to {low}, paired by "
        "seed; its interval is Fieller's for the ratio of two paired means."
    )
    lacking = any(share.n > 1 and share.interval is None and not pd.isna(share.mean) for share in shares.values())
    notes = (note, f"Where the gap closed has no interval, {NO_INTERVAL}.") if lacking else (note,)
    return OwnColumns(numbers, cells, notes)


def ratio_figure(table: pd.DataFrame, results: pd.DataFrame, study: Study, scale: str) -> Figure:
    """Mask AP over the share of images with masks, and below it the share of the gap closed."""
    figure = Figure(figsize=(7.0, 7.0))
    top, bottom = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 2)})
    places = _places(results, study)
    plot_ratio(top, table, results, study, places)
    plot_gap(bottom, results, study, places)
    figure.legend(*top.get_legend_handles_labels(), loc="outside lower center", ncols=1, alignment="left")
    figure_caption(figure, top, scale)
    return figure


def _places(results: pd.DataFrame, study: Study) -> dict[float, float]:
    """Equidistant places of the ratios, which span two orders of magnitude and include 0."""
    return {ratio: float(x) for x, ratio in enumerate(sorted(set(ratio_arms(results, study)["ratio"])))}


def plot_ratio(
    axis: Axes, table: pd.DataFrame, results: pd.DataFrame, study: Study, places: dict[float, float]
) -> Axes:
    both = ends(results, study)
    for arm, style, name in zip(both or (), ((0, (1, 1.5)), (0, (5, 3))), ("boxes only", "full masks"), strict=False):
        summary = summarize_arm(results, arm, "mask_AP")
        axis.axhline(summary.mean, color=REFERENCE, linestyle=style, linewidth=1.2, zorder=0.5, label=f"ours, {name}")
    for kind, (color, marker) in KINDS.items():
        x = _x_of(results, study, kind, places)
        label = f"{kind}, {seed_count(table)}" if kind == MIXED else kind
        if len(x):
            line = kind == MIXED
            plot_estimates(axis, x, results, "mask_AP", color=color, marker=marker, label=label, line=line)
    low, high = axis.dataLim.intervaly
    room = max(1.0, 0.1 * (high - low))
    axis.set_ylim(max(0.0, low - room), high + room)
    axis.set_ylabel("mask AP (%)")
    axis.grid(axis="y")
    return axis


def plot_gap(axis: Axes, results: pd.DataFrame, study: Study, places: dict[float, float]) -> Axes:
    """Share of the gap closed with its 95 % interval; boxes only is 0 % and full masks 100 % by definition."""
    shares = gaps(results, study)
    for kind, (color, marker) in KINDS.items():
        x = {arm: at for arm, at in _x_of(results, study, kind, places).items() if arm in shares}
        means = [shares[arm].mean for arm in x]
        line = "-" if kind == MIXED else "none"
        axis.plot(list(x.values()), means, color=color, marker=marker, linestyle=line, markersize=6)
        for arm, at in x.items():
            if shares[arm].interval is not None:
                axis.vlines(at, *shares[arm].interval, color=color, linewidth=1.4)
    for level in (0, 100):
        axis.axhline(level, color=REFERENCE, linewidth=0.8, zorder=0.5)
    axis.set_ylabel("gap closed (%)")
    axis.set_xlabel("training images with masks (all have boxes unless noted)")
    axis.set_xticks(list(places.values()), [f"{100 * ratio:g} %" for ratio in places])
    axis.grid(axis="y")
    return axis


def _x_of(results: pd.DataFrame, study: Study, kind: str, places: dict[float, float]) -> pd.Series:
    """Place of each arm of one kind; kinds are shifted so that they do not overlap."""
    arms = ratio_arms(results, study)
    arms = arms[arms["kind"] == kind].reindex([arm for arm in study.arms if arm in arms.index]).dropna()
    return arms["ratio"].map(places).sort_values() + 0.14 * list(KINDS).index(kind)
