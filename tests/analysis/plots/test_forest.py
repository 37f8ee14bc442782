"""The plots over all domains: every comparison of arms, and the color edges."""

from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from analysis.domains import Domain, measured_edges
from analysis.edge_counts import read_edge_purity
from analysis.plots.edges import edges_figure
from analysis.plots.figures import styled
from analysis.plots.forest import COLORS, forest_figure
from analysis.presentation import compared_arms
from analysis.study_data import read_study_data

SEVERAL = {"projection": [20.0, 21.0, 22.1], "both": [50.0, 51.1, 52.0], "full": [51.0, 50.0, 54.0]}
ONE = {"projection": [10.0], "both": [19.0], "full": [23.0]}


def markers(figure: Figure) -> dict[str, list[str]]:
    """By color: the marker of each difference, `full` or `hollow` for a circle."""
    found: dict[str, list[str]] = {}
    for line in figure.axes[0].lines:
        if line.get_marker() in ("o", "x"):
            hollow = to_hex(line.get_markerfacecolor()) == "#ffffff"
            kind = "x" if line.get_marker() == "x" else "hollow" if hollow else "full"
            found.setdefault(str(line.get_color()), []).append(kind)
    return found


def test_each_comparison_has_a_row_and_a_marker_for_each_domain(tmp_path, study, write_results):
    domains = {}
    for name, aps in (("a", SEVERAL), ("b", ONE)):
        data = read_study_data(study.file, write_results(tmp_path / name, aps).parent)
        domains[name] = {"loss_terms": (data.study, compared_arms(data))}
    with styled():
        figure = forest_figure(domains)
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == [
        "projection + pairwise - projection only",
        "full masks - projection + pairwise",
        "projection only - full masks",
    ]
    found = markers(figure)
    assert found[COLORS[1]] == ["x"] * len(rows)  # one seed has no interval
    assert sorted(found[COLORS[0]]) == sorted(
        "full" if comparison.told_apart else "hollow" for comparison in domains["a"]["loss_terms"][1]
    )
    assert {"full", "hollow"} == set(found[COLORS[0]])


def test_nothing_compared_is_no_figure(tmp_path, study, write_results):
    data = read_study_data(study.file, write_results(tmp_path / "a", {"full": [60.0]}).parent)
    assert forest_figure({}) is None
    assert forest_figure({"a": {"loss_terms": (data.study, compared_arms(data))}}) is None


def test_the_edges_of_domains_and_of_references_without_studies_are_drawn_once(tmp_path, write_edge_purity):
    counts = read_edge_purity(write_edge_purity(tmp_path / "reference/people", {0.1: (0.5, 0.96), 0.3: (0.3, 0.98)}))
    write_edge_purity(tmp_path / "reference/objects", {0.1: (0.6, 0.97), 0.3: (0.4, 0.99)})
    (tmp_path / "reference/empty").mkdir()
    write_edge_purity(tmp_path / "reference/.objects.partial", {0.1: (0.2, 0.5)})  # of a publication that was killed
    wide = write_edge_purity(
        tmp_path / "reference/wide", {0.1: (0.6, 0.97)}
    )  # has no edges of the paper's neighborhood
    wide.write_text(wide.read_text().replace("\n3,2,", "\n5,2,"))
    domains = [Domain("people", tmp_path, here, {}, counts) for here in (True, False)]
    measured = measured_edges(domains, tmp_path / "reference")
    assert list(measured) == ["people, this run", "objects"]
    assert list(measured_edges(domains, None)) == ["people, this run"]
    with styled():
        purity, kept, across = edges_figure(measured).axes
    assert [line.get_ydata().tolist() for line in kept.lines[:2]] == [[50.0, 30.0], [60.0, 40.0]]
    assert [line.get_ydata().tolist() for line in purity.lines[:2]] == [[96.0, 98.0], [97.0, 99.0]]
    assert [line.get_label() for line in across.lines[:2]] == list(measured)
