"""The file of pseudo masks: COCO, refused where it is broken or of another training, read again by a resume."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from core.compute.compute import Compute
from core.pseudo_masks.grabcut import PSEUDO_MASKS, grabcut_masks, with_pseudo_masks, write_pseudo_masks
from core.training.loop import train
from tests.core.pseudo_masks.disks import (
    HEIGHT,
    IDENTITY,
    WIDTH,
    bent,
    data_set,
    decoded,
    disk,
    file_of,
    folder,
    iou,
    write,
)
from tests.core.training.tiny_training import comparable, root, run, tiny

__all__ = ["folder", "root"]  # fixtures


def test_samples_carry_the_pseudo_masks_and_are_else_the_same(folder: Path) -> None:
    boxes_only = data_set(folder)
    write(folder / PSEUDO_MASKS, boxes_only, grabcut_masks(boxes_only))
    masked, _ = with_pseudo_masks(boxes_only, folder / PSEUDO_MASKS, identity=IDENTITY)
    assert len(masked) == len(boxes_only)
    before, after = boxes_only[0], masked[0]
    assert torch.equal(before.image, after.image)
    assert torch.equal(before.annotations.boxes, after.annotations.boxes)
    assert before.annotations.has_mask.tolist() == [False, False]
    assert after.annotations.has_mask.tolist() == [True, True]
    assert iou(after.annotations.masks[0].numpy(), disk()[2::4, 2::4]) > 0.9


def test_the_file_is_a_coco_file_with_equal_masks_and_nothing_unused(folder: Path) -> None:
    dataset = data_set(folder, image_ratio=0.5)
    masks, file = grabcut_masks(dataset), file_of(dataset)
    write_pseudo_masks(folder / PSEUDO_MASKS, file, dataset, masks, seconds=2.0, identity=IDENTITY)
    assert file.content == file_of(dataset).content  # nothing was written into it
    coco, original = COCO(folder / PSEUDO_MASKS), COCO(folder / "instances.json")
    (image_id,) = coco.getImgIds()
    assert coco.loadImgs(image_id) == original.loadImgs(image_id)
    assert coco.cats == original.cats
    assert set(coco.anns) == set(masks) == {10 * image_id, 10 * image_id + 1}  # and not the crowd
    for i, mask in masks.items():
        assert np.array_equal(coco.annToMask(coco.anns[i]).astype(bool), decoded(mask))
        assert coco.anns[i]["area"] == coco_mask.area(mask)
        assert coco.anns[i]["bbox"] == original.anns[i]["bbox"]
    assert [path.name for path in folder.glob("*.partial")] == []


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        ({"segmentation": None}, r"annotation 70 \(image 7\): no mask, expected one"),
        ({"segmentation": []}, r"annotation 70 \(image 7\): no mask, expected one"),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "1"}}, r"annotation 70 .* covers 1 pixels, expected"),
        ({"id": 1000}, r"annotation 70 \(image 7\): no mask, expected one"),
        ({"bbox": "large"}, "bbox is 'large', expected four finite numbers"),
    ],
)
def test_a_wrong_file_is_refused_by_name(folder: Path, differences: dict, message: str) -> None:
    path = folder / PSEUDO_MASKS
    dataset = data_set(folder)
    masks = {i: coco_mask.encode(np.asfortranarray(disk(), dtype=np.uint8)) for i in (70, 71, 90, 91)}
    write(path, dataset, masks)
    bent(path, **differences)
    with pytest.raises(ValueError, match=rf"(?s)pseudo_masks\.json: 1 problem.*{message}.*delete pseudo_masks\.json"):
        with_pseudo_masks(dataset, path, identity=IDENTITY)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"images": [], "annotations": [], "categories": 3}'])
def test_a_broken_file_is_refused_by_name(folder: Path, content: str) -> None:
    (folder / PSEUDO_MASKS).write_text(content)
    with pytest.raises(ValueError, match=r"pseudo_masks\.json: .*; delete pseudo_masks\.json to make"):
        with_pseudo_masks(data_set(folder), folder / PSEUDO_MASKS, identity=IDENTITY)


def test_a_file_without_its_seconds_is_refused(folder: Path) -> None:
    dataset = data_set(folder)
    masks = {i: coco_mask.encode(np.asfortranarray(disk(), dtype=np.uint8)) for i in (70, 71, 90, 91)}
    write(folder / PSEUDO_MASKS, dataset, masks)
    content = json.loads((folder / PSEUDO_MASKS).read_text())
    (folder / PSEUDO_MASKS).write_text(json.dumps(content | {"info": {}}))
    with pytest.raises(ValueError, match=r"info is \{\}, expected the seconds"):
        with_pseudo_masks(dataset, folder / PSEUDO_MASKS, identity=IDENTITY)


@pytest.mark.parametrize(("other", "message"), [
    ({"method": "teacher"}, r"another training: method is 'grabcut' instead of 'teacher'"),
    ({"seed": 1}, r"another training: seed is 0 instead of 1"),
    ({"config": {"supervision": {"mask_ratio": 0.5}}},
     r"another training: config\.supervision\.mask_ratio is 0\.0 instead of 0\.5"),
])  # fmt: skip
def test_masks_that_belong_to_another_training_are_refused_by_name(folder: Path, other: dict, message: str) -> None:
    dataset, path = data_set(folder), folder / PSEUDO_MASKS
    masks = {i: coco_mask.encode(np.asfortranarray(disk(), dtype=np.uint8)) for i in (70, 71, 90, 91)}
    write(path, dataset, masks)
    with pytest.raises(ValueError, match=rf"pseudo_masks\.json: made for {message}; delete pseudo_masks\.json to make"):
        with_pseudo_masks(dataset, path, identity=IDENTITY | other)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"info": {"seconds": 1.0}}))
    with pytest.raises(ValueError, match=r"info\.identity is None, expected what identifies the masks; delete"):
        with_pseudo_masks(dataset, path, identity=IDENTITY)


def test_a_training_refuses_the_masks_that_another_one_left_in_its_folder(root: Path, tmp_path: Path) -> None:
    run(tiny(root, supervision={"pseudo_masks": "grabcut"}, training={"epochs": 1}), tmp_path)
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(ValueError, match=r"pseudo_masks\.json: made for another training: seed is 0 instead of 1;"):
        run(tiny(root, supervision={"pseudo_masks": "grabcut"}, training={"epochs": 1}), tmp_path, seed=1)


def test_training_on_grabcut_masks_uses_dice_alone_and_a_resume_reads_the_file(
    root: Path, tmp_path: Path, monkeypatch
) -> None:
    config = tiny(root, supervision={"pseudo_masks": "grabcut"}, training={"epochs": 1})
    first = run(config, tmp_path)
    assert first.curves[0]["loss/dice"] > 0
    assert first.curves[0]["loss/projection"] == first.curves[0]["loss/pairwise"] == 0
    spent = json.loads((tmp_path / PSEUDO_MASKS).read_text())["info"]["seconds"]
    assert first.seconds == first.curves[-1]["seconds"] + spent

    def fail(*arguments, **settings):
        raise AssertionError("made again")

    monkeypatch.setattr("core.training.loop.grabcut_masks", fail)
    (tmp_path / "checkpoint.pt").unlink()
    again = train(config, 0, Compute(), folder=tmp_path)
    assert comparable(again) == comparable(first)
