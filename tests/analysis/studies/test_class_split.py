import pytest

from analysis.plots.figures import styled
from analysis.presentation import main_figure, own_columns, study_table, study_verdict
from analysis.studies.class_split import class_groups, masked_classes, supervision_of
from analysis.study_data import read_study_data

APS = {"boxes": [40.0, 40.0], "masks_for_two": [44.0, 44.0], "full": [50.0, 50.0]}
CATEGORIES = {
    "boxes": {"ellipse": 50.0, "cross": 40.0, "star": 30.0},
    "masks_for_two": {"ellipse": 56.0, "cross": 42.0, "star": 34.0},
    "full": {"ellipse": 60.0, "cross": 50.0, "star": 40.0},
}


@pytest.fixture
def data(tmp_path, write_study):
    return read_study_data(write_study(tmp_path, "class_split", APS, categories=CATEGORIES), tmp_path)


def test_the_groups_are_the_categories_with_masks_and_the_others(data):
    groups = class_groups(data.records_by_arm)
    assert groups == [("ellipse", "star"), ("cross",)]
    of_arm = {arm: records[0] for arm, records in data.records_by_arm.items()}
    assert masked_classes(of_arm["boxes"]) == frozenset()
    assert masked_classes(of_arm["full"]) == {"ellipse", "cross", "star"}
    assert supervision_of(data.records_by_arm["masks_for_two"], ("ellipse", "cross")) == "masks for some"


def test_the_table_has_the_ap_of_each_group_and_what_it_learned_from(data):
    cells = own_columns(data).cells
    assert cells["AP of ellipse, star"].tolist() == ["40.0 ± 0.0 (boxes)", "45.0 ± 0.0 (masks)", "50.0 ± 0.0 (masks)"]
    assert cells["AP of cross"].tolist() == ["40.0 ± 0.0 (boxes)", "42.0 ± 0.0 (boxes)", "50.0 ± 0.0 (masks)"]
    notes = own_columns(data).notes
    assert "29.6" in notes[1]
    assert "30.9" in notes[2]


def test_the_verdict_says_what_the_categories_without_masks_gain(tmp_path, data, write_study):
    assert study_verdict(data).text.endswith(
        " On the classes without masks (cross), masks for two categories vs. boxes only: +2.0 AP (95 % interval +2.0 "
        "to +2.0, n = 2, p < 0.001): told apart."
    )
    path = write_study(tmp_path, "class_split", APS | {"boxes": [None, None]}, categories=CATEGORIES)
    assert "is unknown: no arm with boxes only has a result." in study_verdict(read_study_data(path, tmp_path)).text


def test_a_panel_a_group(data):
    with styled():
        figure = main_figure(data, study_table(data))
    assert [axis.get_title() for axis in figure.axes] == ["ellipse, star", "cross"]
    assert figure.axes[1].get_legend_handles_labels()[1] == ["masks", "boxes"]


def test_without_records_the_arms_are_shown_as_bars(tmp_path, write_study):
    path = write_study(tmp_path, "class_split", APS)  # records without per_class
    data = read_study_data(path, tmp_path)
    assert own_columns(data) is None
    with styled():
        assert main_figure(data, study_table(data)).axes[0].get_ylabel() == "mask AP (%)"
