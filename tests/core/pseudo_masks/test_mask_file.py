"""Masks from a file: whose instances get them, what is cut, and what of a file is refused by name."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.config import Config
from core.config.file import build_config
from core.datasets.coco import CocoDataset, build_training_set, read_training_file
from core.datasets.filled_box import encode_mask, filled_box
from core.pseudo_masks.mask_file import add_masks, read_mask_file, with_masks
from tests.core.pseudo_masks.disks import DISK_BOX, HEIGHT, WIDTH, decoded, disk, folder, xyxy

__all__ = ["folder"]  # a fixture

OTHER = [[2, 30, 10, 30, 10, 40]]  # half of the other box


def encoded(mask: np.ndarray) -> dict[str, Any]:
    encoding = encode_mask(mask)
    return {"size": encoding["size"], "counts": encoding["counts"].decode()}


def shifted(columns: int) -> np.ndarray:
    """The disk, so many columns to the right."""
    return np.roll(disk(), columns, axis=1)


def write_masks(
    folder: Path, change: Callable[[dict], object] = lambda content: None, name: str = "masks.json"
) -> None:
    """The training file with the disk, run-length encoded, and a triangle as masks; `change` may edit it."""
    content = json.loads((folder / "instances.json").read_text())
    for entry in content["annotations"]:
        entry["segmentation"] = encoded(disk()) if entry["bbox"] == DISK_BOX else OTHER
    change(content)
    (folder / name).write_text(json.dumps(content))


def annotation(content: dict, annotation_id: int) -> dict:
    (found,) = (entry for entry in content["annotations"] if entry["id"] == annotation_id)
    return found


def set_in(annotation_id: int, **values: Any) -> Callable[[dict], object]:
    return lambda content: annotation(content, annotation_id).update(values)


def config_of(folder: Path, **supervision: Any) -> Config:
    data = {"root": str(folder), "train_images": "train", "train_annotations": "instances.json"}
    return build_config(
        {"data": data, "supervision": {"pseudo_masks": {"file": "masks.json"}} | supervision}, "settings"
    )


def masked(folder: Path, **supervision: Any) -> CocoDataset:
    config = config_of(folder, **supervision)
    training_file, mask_file = read_training_file(config.data), read_mask_file(config)
    dataset = build_training_set(training_file, config.data, config.supervision, 0)
    before = [record.segmentations for record in dataset.records]
    result = add_masks(dataset, training_file, mask_file)
    assert [record.segmentations for record in dataset.records] == before  # the data set given is not changed
    return result


def masks_of(dataset: CocoDataset) -> dict[int, Any]:
    return {i: s for r in dataset.records for i, s in zip(r.annotation_ids, r.segmentations, strict=True)}


def test_instances_without_a_mask_get_that_of_their_id_as_it_is(folder: Path) -> None:
    write_masks(folder, lambda content: content["annotations"].reverse())
    assert masks_of(masked(folder)) == {70: encoded(disk()), 71: OTHER, 90: encoded(disk()), 91: OTHER}


def test_an_annotated_mask_that_is_used_stays(folder: Path) -> None:
    write_masks(folder)
    content = json.loads((folder / "instances.json").read_text())
    own = {entry["id"]: entry.get("segmentation") for entry in content["annotations"]}
    found = masks_of(masked(folder, mask_ratio=0.5))
    (with_masks_of_their_own,) = (image for image in (7, 9) if found[10 * image] == own[10 * image])
    other = 16 - with_masks_of_their_own
    assert (found[10 * other], found[10 * other + 1]) == (encoded(disk()), OTHER)
    assert masks_of(masked(folder, mask_ratio=1.0)) == {i: own[i] for i in (70, 71, 90, 91)}


def test_hidden_masks_of_the_training_file_are_never_read(folder: Path) -> None:
    write_masks(folder)
    content = json.loads((folder / "instances.json").read_text())
    for entry in content["annotations"]:
        entry["segmentation"] = "unreadable"
    (folder / "instances.json").write_text(json.dumps(content))
    assert masks_of(masked(folder))[70] == encoded(disk())


def test_a_config_without_a_file_has_none(folder: Path) -> None:
    for pseudo_masks in (None, "grabcut", "teacher"):
        assert read_mask_file(config_of(folder, pseudo_masks=pseudo_masks)) is None


def test_the_digest_covers_the_content_of_the_file_and_not_its_name(folder: Path) -> None:
    def digest() -> str:
        return with_masks("d", read_mask_file(config_of(folder)).fingerprint)

    write_masks(folder)
    first = digest()
    (folder / "masks.json").write_text((folder / "masks.json").read_text() + "\n")
    assert first != digest()
    assert with_masks("d", None) == "d"
    assert len(first) == 16


def test_an_instance_that_the_file_has_no_mask_for_keeps_its_box_only(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def change(content: dict) -> None:
        annotation(content, 70).update(segmentation=[])
        annotation(content, 71).update(segmentation=[[1, 2, 3, 4]])  # no three vertices, as COCO has some
        content["annotations"].remove(annotation(content, 90))

    write_masks(folder, change)
    assert masks_of(masked(folder)) == {70: None, 71: None, 90: None, 91: OTHER}
    said = "no mask for 3 of 4 instances that need one: they are trained on their box only"
    assert caplog.messages == [f"{folder / 'masks.json'}: {said}"]


def test_a_file_without_any_mask_is_refused_where_one_is_needed(folder: Path) -> None:
    write_masks(folder, lambda content: [entry.pop("segmentation") for entry in content["annotations"]])
    with pytest.raises(ValueError, match=r"masks\.json: no mask for any of the 4 instances that need one"):
        masked(folder)
    assert masks_of(masked(folder, mask_ratio=1.0))


@pytest.mark.parametrize(("columns", "num_cut"), [(2, 0), (-2, 0), (3, 1), (9, 1)])
def test_a_mask_that_leaves_its_box_by_more_than_rounding_is_cut_to_it(
    folder: Path, caplog: pytest.LogCaptureFixture, columns: int, num_cut: int
) -> None:
    write_masks(folder, set_in(70, segmentation=encoded(shifted(columns))))
    found = decoded(masks_of(masked(folder))[70])
    inside = shifted(columns) & filled_box(xyxy(DISK_BOX), HEIGHT, WIDTH)
    assert np.array_equal(found, inside if num_cut else shifted(columns))
    said = "1 of 4 masks leave their box by more than 2 px, and are cut to it"
    assert caplog.messages == [f"{folder / 'masks.json'}: {said}"] * num_cut


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in(90, id=5), r"annotation 5 \(image 9\): no annotation has this id in .*instances\.json, expected one"),
        (set_in(90, image_id=7), r"annotation 90 \(image 7\): expected image 9, as in .*instances\.json"),
        (set_in(90, bbox=[20, 10, 24, 26]), r"annotation 90 \(image 9\): bbox is \[20, 10, 24, 26\], expected "
         r"\[20, 10, 24, 24\] as in .*instances\.json"),
        (set_in(90, bbox=[18.9, 10, 24, 24]), r"bbox is \[18\.9, 10, 24, 24\], expected \[20, 10, 24, 24\] as in"),
        (set_in(90, iscrowd=1), r"annotation 90 \(image 9\): iscrowd or ignore is 1, expected 0 as in .*instances\.js"),
        (lambda content: content["images"][1].update(width=WIDTH + 8),
         rf"image 9 \(9\.png\): {WIDTH + 8} x {HEIGHT} pixels, expected {WIDTH} x {HEIGHT} as in .*instances\.json"),
        (set_in(90, segmentation={"size": [WIDTH, HEIGHT], "counts": "1"}),
         rf"annotation 90 \(image 9\): run-length encoding has size \[{WIDTH}, {HEIGHT}\], expected \[{HEIGHT}, "),
        (set_in(90, segmentation="SAM"), r"annotation 90 \(image 9\): segmentation is 'SAM', expected polygons or"),
        (set_in(90, segmentation=encoded(disk() & False)),
         r"annotation 90 \(image 9\): mask has no pixel, but its box is 24 x 24 pixels"),
        # moved by more than half of its width
        (set_in(90, segmentation=encoded(shifted(13))),
         r"annotation 90 \(image 9\): \d+ of the \d+ pixels of the mask lie in its box, expected at least half"),
        (set_in(90, segmentation=OTHER), r"annotation 90 \(image 9\): 0 of the \d+ pixels of the mask lie in its box"),
        (set_in(90, category_id=4), r"annotation 90 \(image 9\): category_id is 4, expected one of 3"),
    ],
)  # fmt: skip
def test_what_contradicts_the_training_file_is_refused_by_name(
    folder: Path, change: Callable[[dict], object], message: str
) -> None:
    write_masks(folder, change)
    with pytest.raises(ValueError, match=rf"^{folder}/masks\.json: 1 problem\(s\)\n  .*{message}"):
        masked(folder)


@pytest.mark.parametrize(
    "change",
    [
        set_in(90, bbox=[19.4, 10.4, 24.6, 23.4]),
        lambda content: content.update(categories=[{"id": 3, "name": "object"}]),  # SAM knows no classes
        lambda content: content["images"].append({"id": 1, "file_name": "1.png", "width": 9, "height": 9}),
        lambda content: content["annotations"].remove(annotation(content, 1)),
        set_in(1, bbox=[0, 0, 5, 5], segmentation="unread"),  # the crowd
        lambda content: [image.update(file_name=f"elsewhere/{image['id']}.png") for image in content["images"]],
    ],
    ids=["rounded boxes", "classes", "another image", "no crowd", "a crowd changed", "other file names"],
)
def test_what_does_not_matter_is_no_problem(folder: Path, change: Callable[[dict], object], caplog) -> None:
    write_masks(folder, change)
    with caplog.at_level(logging.WARNING):
        assert masks_of(masked(folder))[90] == encoded(disk())
    assert caplog.messages == []


def test_small_boxes_may_have_masks_without_a_pixel_as_the_training_file_may(folder: Path) -> None:
    small = {"bbox": [20, 10, 1.5, 24], "segmentation": encoded(disk() & False)}
    content = json.loads((folder / "instances.json").read_text())
    annotation(content, 90).update(bbox=small["bbox"])
    (folder / "instances.json").write_text(json.dumps(content))
    write_masks(folder, set_in(90, **small))
    assert coco_mask.area(masks_of(masked(folder))[90]) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("", "is empty, expected JSON"),
        ("{", "not valid JSON"),
        ("[]", "expected a list of objects under 'categories'"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(folder: Path, content: str | None, message: str) -> None:
    if content is not None:
        (folder / "masks.json").write_text(content)
    with pytest.raises(ValueError, match=rf"masks\.json: .*{message}"):
        masked(folder)


def test_a_box_that_is_none_is_no_place_for_a_mask(folder: Path) -> None:
    write_masks(folder, set_in(71, bbox=[2, 30, 8, -10]))
    with pytest.raises(
        ValueError, match=r"masks\.json: 1 problem\(s\)\n  annotation 71 .*expected a width and a height"
    ):
        masked(folder)
