"""The color edges of several domains in one plot: how many a threshold keeps, and how many of these are right."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.figures import REFERENCE
from analysis.plots.forest import COLORS
from analysis.studies.edge_purity import DEFAULT, PAPER_THRESHOLD, RELEASED_THRESHOLD, SHARES, edge_purity_table

WIDTH = 11.6  # inches: fits a page 1216 px wide
STYLES = ("-", "--", "-.", ":")


def edges_figure(measured: Mapping[str, pd.DataFrame]) -> Figure:
    """One panel per share over the color threshold, one line per domain, with the paper's neighborhood.

    `measured` holds the counts by title of the domain, each with that neighborhood.
    """
    figure = Figure(figsize=(WIDTH, 3.7))
    axes = figure.subplots(1, len(SHARES))
    for axis, (column, title) in zip(axes, SHARES.items(), strict=True):
        for number, (name, frame) in enumerate(measured.items()):
            shares = edge_purity_table(frame).loc[DEFAULT, column]
            style = {"color": COLORS[number % len(COLORS)], "linestyle": STYLES[number % len(STYLES)]}
            axis.plot(shares.index, shares, label=name, **style)
        for threshold in (PAPER_THRESHOLD, RELEASED_THRESHOLD):
            axis.axvline(threshold, color=REFERENCE, linewidth=0.9, zorder=0.5)
        axis.set(xlabel="color threshold τ", title=title)
        axis.grid(axis="y")
    axes[-1].set_yscale("log")
    axes[-1].yaxis.set_major_formatter("{x:g}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(measured))
    return figure
