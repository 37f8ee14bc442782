"""Table and plot of the edge purity, and the edges of one photo: `python -m analysis.studies.edge_purity`.

Reads `results/edge_purity.csv`; writes `results/tables/edge_purity.{md,csv}`, `results/plots/edge_purity.{png,svg}`
and, from the arrays in `results/edge_purity/`, `results/plots/consistency.{png,svg}`.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.edge_counts import read_edge_purity
from analysis.plain_text import table_csv
from analysis.plots.figures import REFERENCE, styled
from analysis.plots.saving import save
from analysis.studies.consistency import consistency_figure, read_consistency
from analysis.tables.study_table import markdown_table, number
from core.compute.command import run_command
from core.files.atomic import write_text

PAPER_THRESHOLD, RELEASED_THRESHOLD = 0.1, 0.3
SHARES = {  # column of the table -> title of its panel
    "purity": "purity (% of the kept edges)",
    "share_kept": "kept (% of all edges)",
    "different_kept": "kept (% of the edges across a border)",
}
SIZE_COLORS = {3: "#0072B2", 5: "#D55E00"}  # Okabe and Ito's blue and vermilion
DILATION_STYLES = {1: ":", 2: "-", 3: "--"}


def neighborhood_label(size: int, dilation: int) -> str:
    return f"{size}\N{MULTIPLICATION SIGN}{size}, dilation {dilation}"


DEFAULT = neighborhood_label(3, 2)  # the paper's


def edge_purity_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Shares in percent, unrounded, indexed by (neighborhood, color threshold).

    `share_kept`: share of all edges that is kept; `purity`: share of the kept edges whose two pixels have the same true
    label; `different_kept`: share of the edges between different labels that is kept. NaN where the denominator is 0.
    """
    shapes = zip(frame["neighborhood_size"], frame["neighborhood_dilation"], strict=True)
    return pd.DataFrame(
        {
            "neighborhood": [neighborhood_label(*shape) for shape in shapes],
            "color_threshold": frame["color_threshold"],
            "share_kept": 100 * frame["kept"] / frame["edges"],
            "purity": 100 * frame["pure"] / frame["kept"],
            "different_kept": 100 * frame["different_kept"] / frame["different"],
        }
    ).set_index(["neighborhood", "color_threshold"])


def render_markdown(frame: pd.DataFrame) -> str:
    """The paper's neighborhood at all thresholds, then all neighborhoods at 0 and the thresholds of paper and code."""
    shares = edge_purity_table(frame)
    neighborhoods = list(dict.fromkeys(shares.index.get_level_values(0)))
    thresholds = list(dict.fromkeys(shares.index.get_level_values(1)))
    shown = DEFAULT if DEFAULT in neighborhoods else neighborhoods[0]
    by_threshold = [
        [f"{row.Index:g}{_note(row.Index)}", *_cells(row.share_kept, row.purity, row.different_kept)]
        for row in shares.loc[shown].itertuples()
    ]
    in_use = [t for t in (0, PAPER_THRESHOLD, RELEASED_THRESHOLD) if t in thresholds]
    by_neighborhood = [
        [name, *(cell for t in in_use for cell in _cells(*shares.loc[(name, t), ["share_kept", "purity"]]))]
        for name in neighborhoods
    ]
    header = ["neighborhood", *(f"{column}, τ = {t:g}" for t in in_use for column in ("kept", "purity"))]
    return "\n".join(
        [
            "# Edge purity",
            "",
            f"{caption(frame)} Shares in percent.",
            "",
            f"Neighborhood {shown}:",
            "",
            markdown_table(["τ", "kept", "purity", "kept across a border"], by_threshold),
            "",
            "All neighborhoods:",
            "",
            markdown_table(header, by_neighborhood),
            "",
            purity_sentence(shares),
            "",
        ]
    )


def caption(frame: pd.DataFrame) -> str:
    """What was counted, and on which data."""
    first = frame.iloc[0]
    return (
        f"{first['num_instances']} instances with a mask in {first['num_images']} images, short side "
        f"{first['short_side']} px (data digest {first['data_digest']}). An edge joins a cell of a box mask and a "
        f"neighbor on the stride-4 grid. It is kept if its color similarity, exp(-|ΔLAB| / "
        f"{first['color_temperature']:g}), is at least τ, and pure if both cells are inside the true mask or both "
        "outside; the others cross a border. An edge counts once per end in the box mask."
    )


def purity_sentence(shares: pd.DataFrame) -> str:
    """Whether purity rises with the threshold for every neighborhood, as expected; if not, up to which threshold."""
    steps = shares["purity"].dropna().groupby(level=0).diff()
    falls = steps[steps < 0]
    if falls.empty:
        return "Expected: purity rises with the threshold. HOLDS for every neighborhood."
    thresholds = sorted(set(shares.index.get_level_values(1)))
    turn = thresholds[thresholds.index(falls.index.get_level_values(1).min()) - 1]
    return (
        f"Expected: purity rises with the threshold. Holds up to τ = {turn:g} for every neighborhood; DOES NOT HOLD "
        f"above, where it falls at {len(falls)} of {int((steps.index.get_level_values(1) > turn).sum())} steps, by at "
        f"most {-falls.min():.2f} points."
    )


def edge_purity_figure(frame: pd.DataFrame) -> Figure:
    """One panel per share, over the threshold."""
    figure = Figure(figsize=(10.6, 4.1))
    axes = figure.subplots(1, len(SHARES))
    for axis, column in zip(axes, SHARES, strict=True):
        plot_shares(axis, frame, column)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, columnspacing=1.4)
    first = frame.iloc[0]
    figure.suptitle(
        rf"Edge kept if $S=\exp(-\|\Delta\mathrm{{LAB}}\|\,/\,{first['color_temperature']:g})\geq\tau$; "
        "pure if both cells have the same true label, else across a border. "
        f"{first['num_instances']} instances, {first['num_images']} images, short side {first['short_side']} px",
        fontsize=10,
        color="#404040",
    )
    return figure


def plot_shares(axis: Axes, frame: pd.DataFrame, column: str) -> Axes:
    """Draw one share in percent, one line per neighborhood (the paper's is bold); vertical lines: known thresholds."""
    shares = edge_purity_table(frame)[column]
    shapes = frame[["neighborhood_size", "neighborhood_dilation"]].drop_duplicates()
    for size, dilation in shapes.itertuples(index=False):
        name = neighborhood_label(size, dilation)
        color, style = SIZE_COLORS.get(size, REFERENCE), DILATION_STYLES.get(dilation, "-.")
        width = 2.6 if name == DEFAULT else 1.4
        axis.plot(shares[name].index, shares[name], color=color, linestyle=style, linewidth=width, label=name)
    axis.set_xlim(0, shares.index.get_level_values(1).max())
    place, side = (0.02, "bottom") if column == "purity" else (0.98, "top")  # free of lines
    for threshold, label in ((PAPER_THRESHOLD, "paper"), (RELEASED_THRESHOLD, "released code")):
        axis.axvline(threshold, color=REFERENCE, linewidth=0.9, zorder=0.5)
        axis.annotate(
            label, (threshold, place), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
            rotation=90, va=side, fontsize=8, color=REFERENCE,
        )  # fmt: skip
    axis.set(xlabel="color threshold τ", title=SHARES[column])
    axis.title.set_fontsize(9.5)
    if column == "different_kept":
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
    axis.grid(axis="y")
    return axis


def _note(threshold: float) -> str:
    return {PAPER_THRESHOLD: " (paper)", RELEASED_THRESHOLD: " (released code)"}.get(threshold, "")


def _cells(*shares: float) -> list[str]:
    return [number(share, 2) for share in shares]


def main(arguments: list[str] | None = None) -> int:
    """Write table and plots; exit status 0, or 2 for invalid input."""
    parser = argparse.ArgumentParser(prog="python -m analysis.studies.edge_purity", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder that holds edge_purity.csv")
    options = parser.parse_args(arguments)
    return run_command(lambda: write_report(options.results))


def write_report(results: Path) -> None:
    """Write table and plots beside the measurement.

    Raises:
        ValueError: if a file of it is malformed.
    """
    tables, plots = results / "tables", results / "plots"
    arrays_file = results / "edge_purity" / "consistency.npz"
    frame = read_edge_purity(results / "edge_purity.csv")
    arrays = read_consistency(arrays_file) if arrays_file.exists() else None
    text = render_markdown(frame)
    files = [tables / "edge_purity.md", tables / "edge_purity.csv"]
    write_text(files[0], text)
    write_text(files[1], table_csv(edge_purity_table(frame)))
    with styled(formulas=True):
        files += save(edge_purity_figure(frame), plots / "edge_purity")
        if arrays is not None:
            files += save(consistency_figure(arrays), plots / "consistency")
    print(text)
    print("Written:", *(f"  {path}" for path in files), sep="\n")
    if arrays is None:
        print(f"{arrays_file}: no such file; the figure of one photo was not drawn")


if __name__ == "__main__":
    sys.exit(main())
