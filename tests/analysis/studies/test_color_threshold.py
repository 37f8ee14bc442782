import json
from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.edge_counts import read_edge_purity
from analysis.plots.figures import styled
from analysis.presentation import main_figure, own_columns, study_table, study_verdict
from analysis.results import read_results
from analysis.studies.color_threshold import plot_edges
from analysis.study_data import read_study_data

APS = {"color_threshold=0": [40.0, 41.0], "color_threshold=0.1": [50.0, 52.0], "color_threshold=0.3": [48.0, 49.0]}


@pytest.fixture
def read(tmp_path, write_study):
    path = write_study(tmp_path, "color_threshold", APS)
    return lambda: read_study_data(path, tmp_path)


def test_purity_and_share_kept_stand_beside_each_arm_where_they_were_measured(tmp_path, read, write_edge_purity):
    assert own_columns(read()) is None
    write_edge_purity(tmp_path, {0.0: (1.0, 0.9), 0.1: (0.5, 0.95)})
    data = read()
    assert own_columns(data).cells["edge purity"].tolist() == ["90.0 %", "95.0 %", "-"]
    assert own_columns(data).cells["edges kept"].tolist() == ["100.0 %", "50.0 %", "-"]
    assert study_table(data)["edges_kept"]["color_threshold=0.1"] == 50.0


def test_purity_of_other_data_is_not_used(tmp_path, read, write_edge_purity):
    write_edge_purity(tmp_path, {0.0: (1.0, 0.9)}, digest="other")
    assert read().edge_purity is None


@pytest.mark.parametrize(("column", "other"), [("short_side", 320), ("color_temperature", 1.0)])
def test_purity_of_another_view_of_the_data_is_not_used(tmp_path, write_study, write_edge_purity, column, other):
    path = write_study(tmp_path, "color_threshold", APS)
    for record in (tmp_path / "color_threshold/trials").iterdir():
        content = json.loads(record.read_text())
        content["config"]["loss"]["color_temperature"] = 2.0
        record.write_text(json.dumps(content))
    csv = write_edge_purity(tmp_path, {0.0: (1.0, 0.9)})
    assert len(read_study_data(path, tmp_path).edge_purity) == 1
    pd.read_csv(csv, dtype={"data_digest": str}).assign(**{column: other}).to_csv(csv, index=False)
    assert read_study_data(path, tmp_path).edge_purity is None


def test_the_figure_has_a_second_panel_where_purity_was_measured(tmp_path, read, write_edge_purity):
    with styled():
        assert len(main_figure(read(), study_table(read())).axes) == 1
        write_edge_purity(tmp_path, {0.0: (1.0, 0.9), 0.1: (0.5, 0.95), 0.3: (0.4, 0.99), 0.9: (0.1, 1.0)})
        figure = main_figure(read(), study_table(read()))
    assert [axis.get_ylabel() for axis in figure.axes] == ["mask AP (%)", "share of edges (%)"]
    mean = figure.axes[0].lines[0]
    assert mean.get_xydata().tolist() == [[0.0, 40.5], [0.1, 51.0], [0.3, 48.5]]


def test_edges_are_drawn_up_to_the_highest_threshold_of_the_study(tmp_path, read, write_edge_purity):
    write_edge_purity(tmp_path, {0.0: (1.0, 0.9), 0.3: (0.4, 1.0), 0.9: (0.1, 1.0)})
    axis = plot_edges(Figure().subplots(), read().edge_purity, limit=0.3)
    purity, kept = axis.lines
    assert purity.get_xydata().tolist() == [[0.0, 90.0], [0.3, 100.0]]
    assert kept.get_ydata().tolist() == [100.0, 40.0]


SOURCE = "one seed; judged by the spread of three seeds in the reference"
TAUS = ("color_threshold=0", "color_threshold=0.1", "color_threshold=0.3")


@pytest.fixture
def judge_tau(tmp_path, write_study):
    def run(*aps, edge_purity=None, spread=None):
        aps = dict(zip(TAUS, aps, strict=True))
        path = write_study(tmp_path, "color_threshold", aps, header="expectation: 0 is the worst, 0.1 the best")
        return study_verdict(replace(read_study_data(path, tmp_path), edge_purity=edge_purity, spread=spread))

    return run


def test_tau_zero_is_the_worst_or_not_and_by_how_much(judge_tau):
    found = judge_tau([40.0, 40.5, 41.0], [50.5, 51.0, 51.5], [48.0, 48.5, 49.1])
    assert found.outcome == "holds"
    assert "Holds, told apart from every other τ; next lowest: τ = 0 vs. τ = 0.3: -8.0 AP (95 % interval" in found.text
    assert "40.5 at τ = 0, 51.0 at τ = 0.1, 48.5 at τ = 0.3; the highest is τ = 0.1" in found.text
    assert found.text.endswith("no rule judges it.")
    assert found.reason.startswith("next lowest: τ = 0 vs. τ = 0.3: -8.0 AP")
    close = judge_tau([40.0, 44.5, 49.0], [50.5, 51.0, 51.5], [48.0, 48.5, 49.0])  # -4.0 ± 10.0 beside 0.3
    assert close.outcome == "not told apart"
    assert "Holds for the means, but too few seeds tell the arms apart: τ = 0 vs. τ = 0.1: -6.5 AP" in close.text
    one = judge_tau([40.0], [50.0], [48.0])
    assert one.outcome == "not told apart"
    assert "(one seed has no interval)" in one.text
    assert judge_tau([None], [50.0], [48.0]).reason == "no result for τ = 0"
    assert judge_tau([40.0], [None], [None]).reason == "no result beside τ = 0"


def test_tau_zero_is_judged_in_one_seed_by_the_spread_of_the_reference(tmp_path, judge_tau, write_study):
    def spread(*aps):
        write_study(tmp_path / "reference", "color_threshold", dict(zip(TAUS, aps, strict=True)))
        return read_results(tmp_path / "reference/color_threshold.csv")

    narrow = spread([40.0, 41.0, 42.0], [50.0, 51.0, 52.1], [48.0, 49.0, 50.1])  # -8 but for rounding
    found = judge_tau([40.0], [50.0], [48.0], spread=narrow)
    assert found.outcome == "holds"
    assert f"({SOURCE}, Holm's correction for two comparisons" in found.text
    assert judge_tau([50.0], [51.0], [48.0], spread=narrow).outcome == "does not hold"
    wide = spread([40.0, 40.0, 40.0], [50.0, 51.0, 52.0], [46.0, 48.0, 50.0])  # sd 2: ± 9.9
    assert judge_tau([40.0], [50.0], [48.0], spread=wide).outcome == "not told apart"


def test_where_tau_zero_does_no_harm_the_purity_of_the_edges_is_given_as_a_reason(
    tmp_path, judge_tau, write_edge_purity
):
    aps = [52.0, 52.5, 53.0], [50.5, 51.0, 51.6], [48.0, 48.5, 49.1]
    found = judge_tau(*aps)
    assert found.outcome == "does not hold"
    assert "DOES NOT HOLD: τ = 0 vs. τ = 0.1: +1.5 AP" in found.text
    assert "was not measured" in found.text
    elsewhere = judge_tau([52.0, 53.0, None, None], [None, None, 50.0, 51.0], [None, None, 48.0, 49.0])
    assert "Does not hold for the means, but too few seeds" in elsewhere.text
    assert "τ = 0 vs. τ = 0.1: no common seed" in elsewhere.text
    measured = read_edge_purity(write_edge_purity(tmp_path / "purity", {0.0: (1.0, 0.975), 0.3: (0.5, 0.99)}))
    assert "97.5 % of all edges" in judge_tau(*aps, edge_purity=measured).text
