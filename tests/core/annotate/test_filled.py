"""A mask for each box of a COCO file: what is filled and how, and that all else in the file stays as it is."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.annotate.filled import Filled
from core.annotate.output import ANNOTATIONS
from core.pseudo_masks.given_boxes import NO_LOCATION
from tests.core.annotate.given_boxes import TRIANGLE, Counted, annotation, content, fill, pixels, result, run, write
from tests.core.pseudo_masks.test_teacher import HEIGHT, WIDTH


def test_the_file_is_the_given_one_but_for_the_masks(network: Counted, tmp_path: Path) -> None:
    done = fill(tmp_path)
    found, expected = result(tmp_path), content()
    for annotation_id, area in ((70, 20 * 32), (3, 6 * 20), (6, 20 * 32)):
        filled = annotation(found, annotation_id)
        assert pixels(tmp_path, annotation_id).sum() == filled["area"] == area
        annotation(expected, annotation_id).update(segmentation=filled["segmentation"], area=area)
    annotation(expected, 3)["mask_source"] = "box"
    assert found == expected
    assert list(found) == list(expected)
    assert [list(entry) for entry in found["annotations"]] == [list(entry) for entry in expected["annotations"]]
    assert done == Filled(
        num_boxes=3, num_masks=3, fallbacks=Counter({NO_LOCATION: 1}), num_kept=1, num_crowds=1, num_flat=1
    )


def test_a_mask_is_that_of_the_network_cut_to_the_box_or_the_filled_box(network: Counted, tmp_path: Path) -> None:
    fill(tmp_path)
    left_of_20, between = np.zeros((2, HEIGHT, WIDTH), dtype=bool)
    left_of_20[:, :20] = True
    between[2:22, 45:51] = True
    assert np.array_equal(pixels(tmp_path, 70), left_of_20)
    assert np.array_equal(pixels(tmp_path, 3), between)


def test_masks_are_replaced_where_that_is_asked_for_but_not_crowds(network: Counted, tmp_path: Path) -> None:
    boxes = content()
    annotation(boxes, 1)["mask_source"] = "box"  # as an earlier run left it
    write(tmp_path, boxes)
    done = fill(tmp_path, replace_masks=True)
    assert (done.num_boxes, done.num_masks, done.num_kept) == (4, 4, 0)
    assert annotation(result(tmp_path), 1).keys() == annotation(content(), 1).keys()
    assert annotation(result(tmp_path), 1)["segmentation"] != TRIANGLE
    assert annotation(result(tmp_path), 8) == annotation(content(), 8)


def test_what_fell_back_to_the_box_is_tried_again_by_the_next_network(network: Counted, tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "out" / ANNOTATIONS).rename(tmp_path / "again.json")
    network.peaks = torch.tensor([(50.0, 12.0)])
    boxes = json.loads((tmp_path / "again.json").read_text())
    annotation(boxes, 3)["bbox"] = [32, 0, 32, 32]  # a box with locations
    (tmp_path / "again.json").write_text(json.dumps(boxes))
    done = fill(tmp_path, "again.json")
    assert (done.num_boxes, done.fallbacks.total(), done.num_kept) == (1, 0, 3)
    assert annotation(result(tmp_path), 3).keys() == annotation(content(), 3).keys() | {"area"}


def test_a_key_of_the_same_name_that_is_not_ours_stays(network: Counted, tmp_path: Path) -> None:
    boxes = content()
    annotation(boxes, 70)["mask_source"] = "by hand"
    write(tmp_path, boxes)
    fill(tmp_path)
    assert annotation(result(tmp_path), 70)["mask_source"] == "by hand"


def test_photos_without_a_box_to_fill_are_not_looked_at(network: Counted, tmp_path: Path) -> None:
    (tmp_path / "photos" / "c.png").unlink()
    assert fill(tmp_path).failed == {}
    assert network.num_images == 2
    pictures = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")}
    assert pictures == {"b.png.png", "deep/a.png.png"}


def test_the_command_counts_what_it_did(network: Counted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'out' / ANNOTATIONS}: 3 masks for 3 boxes\n"
        "  1 of them the filled box (mask_source: box): 1 with no location to predict a mask\n"
        "  1 boxes have a mask, which stays (--replace-masks makes a new one)\n"
        "  1 crowds stay as they are\n"
        "  1 boxes of width or height 0 stay without a mask\n"
    )


def test_photos_of_one_name_have_their_own_boxes(network: Counted, tmp_path: Path) -> None:
    boxes = content()
    boxes["images"][0]["file_name"] = "deep/a.png"
    write(tmp_path, boxes)
    assert fill(tmp_path).num_masks == 3


def test_a_box_lies_where_the_file_says_in_the_stored_pixels(network: Counted, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down, which the size does not show: boxes are of the photo as stored
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels[:, 40:] = 255
    Image.fromarray(pixels).save(tmp_path / "photos" / "deep" / "a.png", exif=exif)
    fill(tmp_path, pictures="png")
    picture = np.array(Image.open(tmp_path / "out" / "deep" / "a.png.png"))
    assert (picture[30, 60] == 255).all()
    assert (picture[30, 35] == 0).all()


@pytest.mark.parametrize("mark", [{"iscrowd": 1}, {"iscrowd": 0, "ignore": 1}])
def test_a_crowd_is_not_filled_and_its_mask_not_looked_at(network: Counted, tmp_path: Path, mark: dict) -> None:
    boxes = content()
    boxes["annotations"][2] |= mark | {"segmentation": "no mask"}
    write(tmp_path, boxes)
    done = fill(tmp_path)
    assert (done.num_boxes, done.num_crowds) == (3, 1)
