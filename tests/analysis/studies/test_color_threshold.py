import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.plots.figures import styled
from analysis.presentation import main_figure, own_columns, study_table
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
