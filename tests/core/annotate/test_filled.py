"""A mask for each box of a COCO file: what is filled and how, and that all else in the file stays as it is."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from torch import Tensor

from core.annotate import box_masks as module
from core.annotate.__main__ import main
from core.annotate.box_masks import NetworkMasks
from core.annotate.filled import Filled, fill_boxes
from core.annotate.output import ANNOTATIONS
from core.pseudo_masks.given_boxes import NO_LOCATION
from core.structures import Predictions
from tests.core.pseudo_masks.test_given_boxes import config
from tests.core.pseudo_masks.test_teacher import HEIGHT, WIDTH, HalfPlanes

SQUARE = [0, 0, 32, 32]  # its mask is all that lies left of x = 20: 20 x 32 pixels (`test_given_boxes`)
BETWEEN = [45, 2, 6, 20]  # between the locations of the network: 6 x 20 pixels, filled
TRIANGLE = [[40, 4, 60, 4, 60, 24]]
CROWD = {"size": [HEIGHT, WIDTH], "counts": [100, 28, HEIGHT * WIDTH - 128]}


def content() -> dict[str, Any]:
    """Three photos with annotations of every kind, keys and sections of others, and ids in no order."""
    return {
        "info": {"year": 2026},
        "images": [
            {"id": 9, "file_name": "b.png", "width": WIDTH, "height": HEIGHT, "license": 3},
            {"id": 4, "file_name": "deep/a.png", "width": WIDTH, "height": HEIGHT},
            {"id": 5, "file_name": "c.png", "width": WIDTH, "height": HEIGHT},
        ],
        "extra": [{"of": "another tool", "1.50": 1.5}],
        "annotations": [
            {"id": 70, "note": "ä", "image_id": 4, "category_id": 0, "bbox": SQUARE, "attributes": {"occluded": False}},
            {"id": 3, "bbox": BETWEEN, "image_id": 4, "category_id": 6, "segmentation": [], "track": [1, 2]},
            {"id": 8, "image_id": 9, "category_id": 0, "bbox": [3, 4, 2, 14], "iscrowd": 1, "segmentation": CROWD},
            {"id": 1, "image_id": 9, "category_id": 0, "bbox": [40, 4, 20, 20], "segmentation": TRIANGLE, "area": 7.5},
            {"id": 2, "image_id": 9, "category_id": 0, "bbox": [5, 5, 0, 9], "segmentation": None},
            {"id": 6, "image_id": 9, "category_id": 6, "bbox": SQUARE, "iscrowd": 0, "area": 1024, "score": 0.5},
        ],
        "categories": [{"id": 6, "name": "bird", "supercategory": "animal"}, {"id": 0, "name": "thing"}],
        "licenses": [],
    }


class Counted(HalfPlanes):
    """Counts the photos it sees, and is interrupted at one of them."""

    interrupt_at = None

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Predictions:
        predictions = super().forward(images, image_sizes)
        if self.num_images == self.interrupt_at:
            raise KeyboardInterrupt
        return predictions


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The network of `checkpoint.pt`; `boxes.json` and its photos lie beside it."""
    network = Counted([(21.0, 11.0)])
    (tmp_path / "checkpoint.pt").write_bytes(b"a network")
    monkeypatch.setattr(
        module, "load_checkpoint_network", lambda path, device: (network, config(), [{"id": 1, "name": "thing"}])
    )
    write(tmp_path, content())
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name in ("b.png", "deep/a.png", "c.png"):
        Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(tmp_path / "photos" / name)
    return network


def write(folder: Path, boxes: dict[str, Any]) -> None:
    (folder / "boxes.json").write_text(json.dumps(boxes))


def fill(folder: Path, boxes: str = "boxes.json", out: str = "out", **settings: Any) -> Filled:
    source = NetworkMasks.read(folder / "checkpoint.pt", device="cpu", close_views=False)
    return fill_boxes(source, folder / boxes, folder / "photos", folder / out, **settings)


def result(folder: Path, out: str = "out") -> dict[str, Any]:
    return json.loads((folder / out / ANNOTATIONS).read_text())


def annotation(of: dict[str, Any], annotation_id: int) -> dict[str, Any]:
    (found,) = (entry for entry in of["annotations"] if entry["id"] == annotation_id)
    return found


def pixels(folder: Path, annotation_id: int, out: str = "out") -> np.ndarray:
    file = COCO(folder / out / ANNOTATIONS)
    return file.annToMask(file.anns[annotation_id]).astype(bool)


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


def run(folder: Path, *options: str) -> int:
    words = ["--checkpoint", folder / "checkpoint.pt", "--images", folder / "photos", "--out", folder / "out"]
    return main([*map(str, words), "--device=cpu", f"--boxes={folder / 'boxes.json'}", "--whole-photos", *options])


def test_the_command_counts_what_it_did(network: Counted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'out' / ANNOTATIONS}: 3 masks for 3 boxes\n"
        "  1 of them the filled box (mask_source: box): 1 with no location to predict a mask\n"
        "  1 boxes have a mask, which stays (--replace-masks makes a new one)\n"
        "  1 crowds stay as they are\n"
        "  1 boxes of width or height 0 stay without a mask\n"
    )


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file["annotations"][0].update(bbox=[0, 0, -1, 5]), "expected a width and a height above 0"),
        (lambda file: file["annotations"][3].update(segmentation=[[1, 2, 3]]), "--replace-masks makes new masks"),
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


@pytest.mark.parametrize("mark", [{"iscrowd": 1}, {"iscrowd": 0, "ignore": 1}])
def test_a_crowd_is_not_filled_and_its_mask_not_looked_at(network: Counted, tmp_path: Path, mark: dict) -> None:
    boxes = content()
    boxes["annotations"][2] |= mark | {"segmentation": "no mask"}
    write(tmp_path, boxes)
    done = fill(tmp_path)
    assert (done.num_boxes, done.num_crowds) == (3, 1)


def test_options_that_do_not_fit_are_refused(network: Counted, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, "--min-score=0.3")
    assert ended.value.code == 2
    words = ["--checkpoint=c.pt", "--images=.", "--out=out", "--device=cpu", "--replace-masks"]
    assert main(words) == 2
    assert "--replace-masks: there are no masks to replace, expected --boxes FILE" in capsys.readouterr().err
    assert main(["--grabcut", "--images=.", "--out=out"]) == 2
    assert "--grabcut: it finds no objects, expected --boxes FILE" in capsys.readouterr().err
