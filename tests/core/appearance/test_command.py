"""The command measures both splits of a folder and adds them to a table."""

from core.appearance.__main__ import main
from core.appearance.table import read_table
from core.datasets.sources.scenes import SCENES


def test_a_folder_is_shown_beside_known_sets_and_saved(tmp_path, capsys):
    SCENES.write(tmp_path / "set", {"train": 2, "val": 1})
    table = tmp_path / "table.csv"
    table.write_text("statistic,photos\nobjects an image,4\n")
    words = [str(tmp_path / "set"), "--table", str(table), "--name", "mine"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "3 images" in shown
    assert "| statistic" in shown
    assert "short side 160 px" in shown
    assert list(read_table(table)) == ["objects an image"]  # nothing is saved unasked
    assert main([*words, "--save"]) == 0
    assert list(read_table(table)["objects an image, mean"]) == ["photos", "mine"]


def test_without_a_known_set_the_column_stands_alone(tmp_path):
    SCENES.write(tmp_path / "set", {"train": 1, "val": 1})
    assert main([str(tmp_path / "set"), "--table", str(tmp_path / "none.csv"), "--save"]) == 0
    assert list(read_table(tmp_path / "none.csv")["box fill, mean"]) == ["yours"]


def test_a_folder_without_a_data_set_is_named(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert f"error: {tmp_path}: looked for" in capsys.readouterr().err


def test_objects_must_be_large_enough_to_count(tmp_path, capsys):
    SCENES.write(tmp_path / "set", {"train": 1, "val": 1})
    assert main([str(tmp_path / "set"), "--smallest", "500"]) == 2
    assert "no instance has a mask" in capsys.readouterr().err
