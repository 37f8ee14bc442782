"""Weights that are not there: the message says where they come from."""

from pathlib import Path

import pytest

from core.config.file import build_config
from core.config.recipe import RECIPES, load_recipe
from core.files.imagenet_weights import FILES, SERVER, require_weights, with_weights
from core.train import main


def test_a_missing_file_of_detectron2_is_named_with_its_origin() -> None:
    with pytest.raises(
        ValueError, match=r"no file 'w/R-101\.pkl'; .*download weights --root w.* downloads it"
    ) as error:
        require_weights("w/R-101.pkl")
    assert f"{SERVER}/MSRA/R-101.pkl" in str(error.value)


def test_of_other_files_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file 'mine\.pt'$"):
        require_weights("mine.pt")
    (tmp_path / "mine.pt").touch()
    for weights in (None, "package:efficientnet_lite0", str(tmp_path / "mine.pt")):
        require_weights(weights)


def test_a_digest_is_of_what_the_file_holds_wherever_it_lies(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "weights.pt", tmp_path / "moved.pt"
    path.write_bytes(b"first")
    first = with_weights("digest", str(path))
    path.rename(elsewhere)
    assert first == with_weights("digest", str(elsewhere)) != "digest"
    path.write_bytes(b"second")
    assert with_weights("digest", str(path)) != first
    assert with_weights("digest", "package:efficientnet_lite0") == with_weights("digest", None) == "digest"
    with pytest.raises(ValueError, match=r"no file 'gone\.pt'"):
        with_weights("digest", "gone.pt")


def test_what_the_recipes_start_from_can_be_fetched() -> None:
    named = {build_config(load_recipe(path.stem), path.stem).model.backbone.weights for path in RECIPES.glob("*.yaml")}
    files = {name for name in named if name is not None and not name.startswith("package:")}
    assert files == {f"weights/{Path(path).name}" for path in FILES}


def test_training_asks_for_them_before_it_reads_the_data(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--recipe", "coco_r50_1x", "--folder", "runs"]) == 2
    assert capsys.readouterr().err.startswith("error: model.backbone.weights: no file 'weights/R-50.pkl'; ")
