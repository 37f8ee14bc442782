"""Every comparison of arms in one plot: the differences with their intervals, by study and domain."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.comparisons import Comparison, Comparisons, Pair
from analysis.plain_text import one_line
from analysis.study import Study
from analysis.study_order import in_order
from analysis.tables.comparison_table import pair_label

Compared = Mapping[str, tuple[Study, Comparisons]]  # by study
WIDTH, ROW = 11.6, 0.21  # inches: fits a page 1216 px wide; a row of text
LINEAR = 5.0  # AP: the axis is linear up to here and logarithmic beyond, so that gaps of 2 and of 50 AP can be read
LONGEST = 72  # characters of a row's name: longer ones leave no room for the plot
SPREAD = 0.62  # of a row: its domains lie side by side within it
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#56606B")  # Okabe and Ito's, and gray


def forest_figure(domains: Mapping[str, Compared]) -> Figure | None:
    """A row for each comparison, by study, with a marker for each domain (by title); None without any comparison.

    A marker is full if the arms are told apart, hollow if not, and a cross if there is one seed, so no interval.
    """
    rows = _rows(domains)
    if not rows:
        return None
    studies = list(dict.fromkeys(study for study, _ in rows))
    figure = Figure(figsize=(WIDTH, 1.0 + ROW * (len(rows) + len(studies))))
    axis = figure.subplots()
    places, labels, y = {}, {}, 0.0
    for study in studies:
        axis.text(0.0, y, study.replace("_", " "), transform=axis.get_yaxis_transform(), va="center", weight="bold")
        for row in (row for row in rows if row[0] == study):
            y += 1
            places[row], labels[y] = y, rows[row]
        y += 1
    for number, compared in enumerate(domains.values()):
        offset = SPREAD * ((number + 0.5) / len(domains) - 0.5)
        of_domain = {
            places[name, found.pair] + offset: found
            for name, (_, comparisons) in compared.items()
            for found in comparisons
            if found.difference.n
        }
        plot_domain(axis, of_domain, COLORS[number % len(COLORS)])
    axis.axvline(0, color="#404040", linewidth=0.9)
    axis.set_xscale("symlog", linthresh=LINEAR, linscale=1.2)
    axis.xaxis.set_major_formatter(lambda gap, _: f"{gap:+g}" if gap else "0")
    axis.set_xticks([-50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50])
    axis.set_yticks(list(labels), list(labels.values()), fontsize=8.5)
    axis.set_ylim(y - 0.4, -0.7)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("difference in AP: left of 0 the second arm is better, right of 0 the first")
    axis.grid(axis="x")
    figure.legend(handles=_legend(list(domains)), loc="outside lower center", ncols=len(domains) + 3, fontsize=8.5)
    return figure


def _rows(domains: Mapping[str, Compared]) -> dict[tuple[str, Pair], str]:
    """Study and pair of each comparison that some domain has made: its label, by study in their order."""
    names = in_order({name for compared in domains.values() for name in compared})
    rows: dict[tuple[str, Pair], str] = {}
    for name in names:
        for compared in domains.values():
            study, comparisons = compared.get(name, (None, ()))
            for found in comparisons:
                if study is not None and found.difference.n:
                    rows.setdefault((name, found.pair), _short(pair_label(study, found.pair)))
    return rows


def _short(label: str) -> str:
    label = one_line(label)
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 3]}..."


def plot_domain(axis: Axes, by_place: Mapping[float, Comparison], color: str) -> Axes:
    """The comparisons of one domain, each at its place on the vertical axis."""
    for place, found in by_place.items():
        difference = found.difference
        if difference.interval is not None:
            axis.plot(difference.interval, [place, place], "-", color=color, linewidth=1.3)
        marker = "x" if difference.interval is None else "o"
        face = color if found.told_apart or difference.interval is None else "white"
        axis.plot(difference.mean, place, marker, color=color, markerfacecolor=face, markersize=4.5)
    return axis


def _legend(titles: list[str]) -> list[Line2D]:
    plain = {"color": "#404040", "linestyle": "none", "markersize": 5}
    domains = [
        Line2D([], [], color=COLORS[number % len(COLORS)], linewidth=3, label=title)
        for number, title in enumerate(titles)
    ]
    return [
        *domains,
        Line2D([], [], marker="o", label="told apart", **plain),
        Line2D([], [], marker="o", markerfacecolor="white", label="not told apart, 95 % interval", **plain),
        Line2D([], [], marker="x", label="one seed", **plain),
    ]
