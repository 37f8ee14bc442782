"""GrabCut finds a disk by its color, fails honestly, leaves true masks alone; the file of pseudo masks and a resume."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from core.compute.compute import Compute
from core.config import DataConfig, SupervisionConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset, load_training_set
from core.datasets.sources.shape_drawing import draw
from core.pseudo_masks import grabcut
from core.pseudo_masks.grabcut import (
    PSEUDO_MASKS,
    box_pixels,
    filled_box,
    grabcut_mask,
    grabcut_masks,
    with_pseudo_masks,
    write_pseudo_masks,
)
from core.training.loop import train
from tests.core.training.test_loop import comparable, root, run, tiny

__all__ = ["root"]  # a fixture

HEIGHT, WIDTH = 48, 64
DISK_BOX = [20, 10, 24, 24]  # xywh, tight
OTHER_BOX = [2, 30, 8, 10]
IDENTITY = {"method": "grabcut", "seed": 0, "config": {"supervision": {"mask_ratio": 0.0}}}


def disk() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (x - 31.5) ** 2 + (y - 21.5) ** 2 <= 12**2


def picture() -> np.ndarray:
    """A blue disk before an orange ground, with a little noise."""
    noise = np.random.default_rng(0).integers(-8, 9, (HEIGHT, WIDTH, 3))
    return (np.where(disk()[..., None], [40, 60, 200], [220, 140, 40]) + noise).astype(np.uint8)


def xyxy(box: list[float]) -> np.ndarray:
    x, y, width, height = box
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def decoded(segmentation: dict) -> np.ndarray:
    return coco_mask.decode(segmentation).astype(bool)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images of the disk, ids 7 and 9, each with the disk (a polygon of its box) and another box, and a crowd."""
    (tmp_path / "train").mkdir()
    images, annotations = [], []
    for image_id in (7, 9):
        Image.fromarray(picture()).save(tmp_path / "train" / f"{image_id}.png")
        images.append({"id": image_id, "file_name": f"{image_id}.png", "width": WIDTH, "height": HEIGHT})
        for number, box in enumerate([DISK_BOX, OTHER_BOX]):
            x, y, w, h = box
            polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            annotations.append({"id": 10 * image_id + number, "image_id": image_id, "category_id": 3, "bbox": box,
                                "iscrowd": 0, "area": w * h, "segmentation": polygon})  # fmt: skip
    crowd = {"id": 1, "image_id": 7, "category_id": 3, "bbox": DISK_BOX, "iscrowd": 1}
    content = {
        "info": {"year": 2020},
        "images": images,
        "annotations": [*annotations, crowd],
        "categories": [{"id": 3, "name": "disk"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    return tmp_path


def data_set(folder: Path, **supervision) -> CocoDataset:
    data = DataConfig(
        root=str(folder), train_images="train", train_annotations="instances.json", short_sides=(HEIGHT,),
        long_side_max=WIDTH, flip_probability=0.0, ignored_bottom_rows=0,
    )  # fmt: skip
    return load_training_set(data, SupervisionConfig(**supervision), seed=0)


def file_of(dataset: CocoDataset) -> AnnotationFile:
    return AnnotationFile.read(dataset.annotation_path, dataset.image_folder)


def write(path: Path, dataset: CocoDataset, masks: dict[int, dict], *, seconds: float = 0.0) -> None:
    write_pseudo_masks(path, file_of(dataset), dataset, masks, seconds=seconds, identity=IDENTITY)


def bent(path: Path, **differences) -> None:
    """Change the first annotation of a file."""
    content = json.loads(path.read_text())
    content["annotations"][0] |= differences
    path.write_text(json.dumps(content))


def test_a_disk_of_another_color_is_cut_out_of_its_box() -> None:
    box = xyxy(DISK_BOX)
    mask = grabcut_mask(picture(), box, seed=1)
    assert iou(mask, disk()) > 0.95
    assert not (mask & ~filled_box(box, HEIGHT, WIDTH)).any()
    # The filled box is what it improves on: pi/4 of the box is disk.
    assert iou(filled_box(box, HEIGHT, WIDTH), disk()) < 0.82


def test_a_mask_depends_on_its_seed_and_on_no_cut_before_it() -> None:
    pixels, instances = draw(0, "train", 2, 160)  # textured: where the mixtures start matters
    rows, columns = np.nonzero(instances[0].mask)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=np.float64)
    masks = [grabcut_mask(pixels, box, seed=seed) for seed in (*range(4), *range(4))]
    assert all(np.array_equal(masks[seed], masks[seed + 4]) for seed in range(4))
    assert any(not np.array_equal(masks[0], mask) for mask in masks)


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ([0, 0, WIDTH, HEIGHT], "no background"),
        ([0.2, 0, WIDTH - 0.4, HEIGHT], "no background once it is rounded"),
        ([20, 10, 3, 24], "three pixels wide"),
        ([20, 10, 24, 0.4], "no pixel high"),
    ],
)
def test_grabcut_gives_up_where_there_is_no_color_to_learn_from(box: list[float], why: str) -> None:
    assert grabcut_mask(picture(), xyxy(box), seed=1) is None


def test_grabcut_gives_up_where_nothing_is_foreground() -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    assert grabcut_mask(flat, xyxy(DISK_BOX), seed=1) is None


def test_a_box_is_rounded_to_pixels_and_keeps_at_least_one() -> None:
    # x 1.4 .. 3.6 -> columns 1, 2, 3; y 0.5 .. 2.5 -> rows 1, 2
    assert box_pixels(np.array([1.4, 0.5, 3.6, 2.5]), 10, 10) == (slice(1, 3), slice(1, 4))
    assert box_pixels(np.array([9.7, 9.7, 9.9, 10.0]), 10, 10) == (slice(9, 10), slice(9, 10))


def test_where_grabcut_fails_the_mask_is_the_filled_box_and_a_warning_counts_it(folder: Path, caplog) -> None:
    bent(folder / "instances.json", bbox=[20, 10, 2, 24])
    masks = grabcut_masks(data_set(folder))
    assert set(masks) == {70, 71, 90, 91}
    assert np.array_equal(decoded(masks[70]), filled_box(xyxy([20, 10, 2, 24]), HEIGHT, WIDTH))
    # The other box of both images shows the ground alone: whatever GrabCut makes of it, there is a mask.
    assert all(coco_mask.area(mask) > 0 for mask in masks.values())
    assert "of 4 instances: their mask is the filled box" in caplog.text


def test_each_mask_starts_from_its_annotation_id_which_may_exceed_a_seed(folder: Path, monkeypatch) -> None:
    bent(folder / "instances.json", id=2**31 + 5)  # ids of some exporters are as large
    seeds = []
    monkeypatch.setattr(grabcut, "grabcut_mask", lambda image, box, *, seed: seeds.append(seed))
    grabcut_masks(data_set(folder))
    assert sorted(seeds) == [5, 71, 90, 91]


def test_true_masks_are_left_and_each_pseudo_mask_is_the_one_it_would_be_anyway(folder: Path) -> None:
    all_masks = grabcut_masks(data_set(folder))
    half = data_set(folder, mask_ratio=0.5)
    (with_masks,) = (r.image_id for r in half.records if r.segmentations[0])
    masks = grabcut_masks(half)
    other = 16 - with_masks
    assert set(masks) == {10 * other, 10 * other + 1}
    assert all(masks[i] == all_masks[i] for i in masks)
    write(folder / PSEUDO_MASKS, half, masks, seconds=1.5)
    masked, seconds = with_pseudo_masks(half, folder / PSEUDO_MASKS, identity=IDENTITY)
    assert seconds == 1.5
    before, after = ({r.image_id: r.segmentations for r in d.records} for d in (half, masked))
    assert after[with_masks] == before[with_masks]
    assert np.array_equal(decoded(after[other][0]), decoded(masks[10 * other]))
    assert before[other] == (None, None)  # the data set given is not changed


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
