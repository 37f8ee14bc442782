import pytest

from analysis.reference.seed_spread import with_spread
from analysis.study_data import read_study_data

ONE = {"dice": [60.0], "redesigned": [62.0]}
THREE = {"dice": [60.0, 61.0, None], "redesigned": [62.0, 62.5, 63.0]}


@pytest.fixture
def read(tmp_path, monkeypatch, write_study):
    """Reads a study of one seed beside reference/shapes of three."""
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path / "reference/shapes", "redesigned_loss", THREE)

    def run(folder=None, **changes):
        file = write_study(tmp_path / "results", "redesigned_loss", ONE, **changes)
        return with_spread(read_study_data(file, tmp_path / "results"), folder)

    return run


def test_the_seeds_of_the_same_recipe_s_reference_are_read(read):
    assert read().spread["mask_AP"].tolist() == [60.0, 61.0, 62.0, 62.5, 63.0]


def test_a_folder_that_is_named_is_asked_in_its_place(read, tmp_path, write_study):
    write_study(tmp_path / "elsewhere", "redesigned_loss", {"dice": [1.0, 2.0]})
    assert read(tmp_path / "elsewhere").spread["mask_AP"].tolist() == [1.0, 2.0]


def test_another_recipe_has_no_reference_and_other_data_none_of_its_arms(read):
    assert read(recipe="people").spread is None
    assert read(digest="another").spread.empty


def test_an_arm_that_failed_here_is_not_asked_about(read, tmp_path, write_study):
    file = write_study(tmp_path / "failed", "redesigned_loss", {"dice": [None], "redesigned": [62.0]})
    data = with_spread(read_study_data(file, tmp_path / "failed"), None)
    assert data.spread["arm"].unique().tolist() == ["redesigned"]
