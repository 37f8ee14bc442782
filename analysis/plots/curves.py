"""Training curves of a study: mask-loss terms, warm-up of the pairwise term, and mask AP if measured on the way."""

from collections.abc import Mapping, Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.study import Study
from core.config.loss import MASK_TERMS, MaskTerm
from core.record import Record

OWN_LOSS = "loss/mask"  # of Mask R-CNN with masks: cross-entropy, none of the terms
MARKERS = ({"marker": "o"}, {"marker": "s", "markerfacecolor": "white"}, {"marker": "^", "markerfacecolor": "white"})
TERM_OF_COLUMN = {f"loss/{name}": term for name, term in sorted(MASK_TERMS.items(), key=lambda item: item[1].color)}


def curves_figure(records: Mapping[str, Sequence[Record]], study: Study) -> Figure:
    """One panel per arm with its mask-loss terms, and one with the mask AP of all arms over epochs.

    There is no panel of mask AP if none was measured more than once: it would show what other figures show.
    """
    arms = [arm for arm in study.arms if records.get(arm)]
    several = any(_measured_aps(record) > 1 for of_arm in records.values() for record in of_arm)
    panels = len(arms) + several
    columns = max(min(3, panels), 1)
    rows = max(-(-panels // columns), 1)
    figure = Figure(figsize=(3.7 * columns, 2.7 * rows + 0.3))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, arm in zip(axes, arms, strict=False):
        plot_terms(axis, records[arm], study.label(arm))
    if several:
        last = plot_ap(axes[len(arms)], {study.label(arm): records.get(arm, ()) for arm in study.arms})
        title = "arms in the panel of mask AP"
        figure.legend(*last.get_legend_handles_labels(), title=title, loc="outside lower center", ncols=columns)
    for axis in axes[panels:]:
        axis.remove()
    return figure


def _measured_aps(record: Record) -> int:
    return sum(epoch.get("mask_AP") is not None for epoch in record.curves)


def plot_terms(axis: Axes, records: Sequence[Record], title: str) -> Axes:
    """Weighted mask-loss terms over epochs, one line per seed; gray area, right axis: warm-up of the pairwise term."""
    styles = list(matplotlib.rcParams["axes.prop_cycle"])
    drawn = set()
    for record in records:
        curves = pd.DataFrame(record.curves)
        for column, term in TERM_OF_COLUMN.items():
            if column in curves and (curves[column].fillna(0) != 0).any():
                label, style = None if column in drawn else _label(term, record), styles[term.color % len(styles)]
                axis.plot(curves["epoch"], curves[column], label=label, **style)
                drawn.add(column)
        if OWN_LOSS in curves and not drawn:
            label = None if axis.lines else "cross-entropy, true mask"
            axis.plot(curves["epoch"], curves[OWN_LOSS], label=label, color="#404040", linestyle="-")
    axis.set_ylim(bottom=0)
    axis.set(title=title, xlabel="epoch", ylabel="loss (weighted)")
    curves = pd.DataFrame(records[0].curves)
    if any(TERM_OF_COLUMN[column].warmed_up for column in drawn) and "pairwise_warmup" in curves:
        _plot_warmup(axis, curves)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8)
    return axis


def _label(term: MaskTerm, record: Record) -> str:
    """The name of a term; says so where its masks are not the annotated ones."""
    made = (record.config.get("supervision") or {}).get("pseudo_masks")
    return term.label.replace("true mask", "pseudo mask") if made else term.label


def _plot_warmup(axis: Axes, curves: pd.DataFrame) -> None:
    """The factor of the pairwise weight behind the curves, on its own axis from 0 to 1."""
    factor = axis.twinx()
    factor.fill_between(curves["epoch"], curves["pairwise_warmup"], color="#EAEAEA", linewidth=0)
    factor.set_ylim(0, 1.6)  # the ramp stays below the legend
    factor.set_yticks([0, 1])
    factor.tick_params(axis="y", labelsize=8, length=2, color="#808080", labelcolor="#707070")
    factor.spines["right"].set(visible=True, bounds=(0, 1), color="#A0A0A0")
    axis.set_zorder(factor.get_zorder() + 1)
    axis.patch.set_visible(False)
    axis.fill_between([], [], color="#EAEAEA", label="pairwise warm-up (right)")


def plot_ap(axis: Axes, records: Mapping[str, Sequence[Record]]) -> Axes:
    """Mean mask AP of the seeds at each evaluated epoch, one line per arm; colors come again with hollow markers."""
    styles = list(matplotlib.rcParams["axes.prop_cycle"])
    for number, (label, of_arm) in enumerate(records.items()):
        curves = [frame for record in of_arm if "mask_AP" in (frame := pd.DataFrame(record.curves))]
        if not curves:
            continue
        mean = pd.concat(curves).dropna(subset="mask_AP").groupby("epoch")["mask_AP"].mean()
        style = styles[number % len(styles)] | MARKERS[number // len(styles) % len(MARKERS)]
        axis.plot(mean.index, mean, markersize=4.5, label=label, **style)
    axis.set(title="mask AP, mean of seeds", xlabel="epoch", ylabel="mask AP (%)")
    axis.set_ylim(0, 1.08 * max(1.0, axis.dataLim.y1))
    axis.set_xlim(left=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axis
