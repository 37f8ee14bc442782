"""Files, photos and options of which boxes cannot be filled: named, and the rest is done."""

from pathlib import Path
from typing import Any

import pytest

from core.annotate.__main__ import main
from tests.core.annotate.given_boxes import Counted, annotation, content, fill, result, run, write


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_photo_that_cannot_be_read_is_named_and_its_boxes_stay(
    network: Counted, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    photo = tmp_path / "photos" / "deep" / "a.png"
    photo.unlink() if damage == "missing" else photo.write_bytes(photo.read_bytes()[:50])
    assert run(tmp_path) == 1
    told = capsys.readouterr()
    assert "1 masks for 3 boxes" in told.out
    assert f"1 photo(s) left out:\n  {photo}: cannot be read as an image" in told.err
    for annotation_id in (70, 3):
        assert annotation(result(tmp_path), annotation_id) == annotation(content(), annotation_id)
    assert annotation(result(tmp_path), 6)["area"] == 640


def test_a_name_that_is_too_long_for_a_picture_is_no_obstacle_without_pictures(
    network: Counted, tmp_path: Path
) -> None:
    boxes, name = content(), "x" * 200 + ".png"
    (tmp_path / "photos" / "b.png").rename(tmp_path / "photos" / name)
    boxes["images"][0]["file_name"] = name
    write(tmp_path, boxes)
    assert "204 bytes, expected at most 200" in fill(tmp_path).failed[name]
    assert fill(tmp_path, out="other", pictures="none").num_masks == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file["annotations"][0].update(bbox=[0, 0, -1, 5]), "expected a width and a height above 0"),
        (
            lambda file: file["annotations"][3].update(segmentation=[[1, 2, 3]]),
            "--replace-masks to make new masks",
        ),
        (lambda file: [entry.update(file_name="gone.png") for entry in file["images"]], "has none of the 3 photos of"),
    ],
    ids=["box", "mask", "photos"],
)
def test_a_file_that_cannot_be_filled_is_refused_before_anything_is_written(
    network: Counted, tmp_path: Path, change: Any, message: str
) -> None:
    boxes = content()
    change(boxes)
    write(tmp_path, boxes)
    with pytest.raises(ValueError, match=message):
        fill(tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_malformed_mask_is_no_obstacle_where_it_is_replaced(network: Counted, tmp_path: Path) -> None:
    boxes = content()
    boxes["annotations"][3]["segmentation"] = [[1, 2, 3]]
    write(tmp_path, boxes)
    assert fill(tmp_path, replace_masks=True).num_masks == 4


def test_options_that_do_not_fit_are_refused(network: Counted, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, "--min-score=0.3")
    assert ended.value.code == 2
    words = ["--checkpoint=c.pt", "--images=.", "--out=out", "--device=cpu", "--replace-masks"]
    assert main(words) == 2
    assert "--replace-masks: there are no masks to replace, expected --boxes FILE" in capsys.readouterr().err
    assert main(["--grabcut", "--images=.", "--out=out"]) == 2
    assert "--grabcut: it finds no objects, expected --boxes FILE" in capsys.readouterr().err
