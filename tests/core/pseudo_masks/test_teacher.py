"""A teacher's masks: of the best location of each annotated box, in the file's pixels, cut to the box; the student."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from core.compute.compute import Compute
from core.config import Config
from core.datasets.coco import CocoDataset, load_training_set
from core.geometry import pyramid_locations
from core.pseudo_masks.grabcut import PSEUDO_MASKS, grabcut_masks
from core.pseudo_masks.teacher import teacher_masks, without_pseudo_masks
from core.structures import Predictions
from core.training import loop as training
from core.training.loop import TrainingResult
from tests.core.training.tiny_training import comparable, root, run, tiny

__all__ = ["root"]  # a fixture

HEIGHT, WIDTH = 32, 64
SQUARE = [0, 0, 32, 32]  # xywh; in the left half of the image


class HalfPlanes(nn.Module):
    """A network whose mask at a location is all that lies left of it, and whose score peaks at given points.

    `empty` images have no mask anywhere. Levels of strides 8, 16 and 32.
    """

    def __init__(self, peaks: list[tuple[float, float]], empty: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.peaks, self.empty, self.num_images = torch.tensor(peaks), torch.tensor(empty), 0

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Predictions:
        height, width = images.shape[2:]
        sizes = [(height // stride, width // stride) for stride in (8, 16, 32)]
        locations, level_index, strides = pyramid_locations(sizes, [8, 16, 32])
        score = -torch.cdist(locations, self.peaks).amin(1)
        batch = len(images)
        self.first, self.num_images = self.num_images, self.num_images + batch
        return Predictions(
            class_logits=score.expand(batch, -1)[..., None].clone(),
            ltrb=torch.zeros(batch, len(locations), 4),
            centerness_logits=torch.zeros(batch, len(locations)),
            locations=locations,
            level_index=level_index,
            strides=strides,
            box_tower=[],
            mask_features=torch.zeros(batch, 1, height // 8, width // 8),
        )

    def predict_masks(
        self, predictions: Predictions, image_index: Int64[Tensor, " N"], location_index: Int64[Tensor, " N"]
    ) -> Float[Tensor, "N h w"]:
        h, w = (2 * side for side in predictions.mask_features.shape[2:])
        centers = torch.arange(w) * 4 + 2
        left = centers < predictions.locations[location_index, :1]  # N w
        left &= ~torch.isin(image_index + self.first, self.empty)[:, None]
        return torch.where(left, 10.0, -10.0)[:, None].expand(-1, h, -1)


def settings(short_side: int = HEIGHT, **inference) -> dict:
    return {
        "data": {"short_sides": [HEIGHT], "val_short_side": short_side, "long_side_max": 4 * WIDTH,
                 "train_annotations": "instances.json", "flip_probability": 1.0},
        "inference": inference,
    }  # fmt: skip


def write(root: Path, boxes_of: dict[int, list[list[float]]], segmentations: dict[int, list] | None = None) -> Path:
    """A file of gray images by image id; annotation ids count from 1."""
    (root / "train").mkdir()
    images, annotations = [], []
    for image_id, boxes in boxes_of.items():
        Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(root / "train" / f"{image_id}.png")
        images.append({"id": image_id, "file_name": f"{image_id}.png", "width": WIDTH, "height": HEIGHT})
        for box in boxes:
            number = len(annotations) + 1
            segmentation = (segmentations or {}).get(number, [])
            annotations.append({"id": number, "image_id": image_id, "category_id": 1, "bbox": box, "iscrowd": 0,
                                "segmentation": segmentation})  # fmt: skip
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (root / "instances.json").write_text(json.dumps(content))
    return root


def boxes_and_config(folder: Path, **differences) -> tuple[CocoDataset, Config]:
    config = tiny(folder, **settings(**differences), supervision={"mask_ratio": 1.0})
    return load_training_set(config.data, config.supervision, seed=0), config


def masks_of(model: nn.Module, dataset: CocoDataset, config: Config) -> dict[int, np.ndarray]:
    encoded = teacher_masks(model, dataset, config, Compute())
    return {i: coco_mask.decode(mask).astype(bool) for i, mask in encoded.items()}


def rectangle(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def test_the_best_location_in_the_middle_of_the_box_predicts_the_mask(tmp_path: Path) -> None:
    # Locations of stride 8 less than 12 px from the center (16, 16): 12 and 20 in x and in y. The peak lies nearest to
    # (20, 12), though (44, 12), outside of the middle, scores higher. Left of x = 20: columns 0..19, for between the
    # cells centered at 18 and 22 the probability falls through 0.5 at 20.
    dataset, config = boxes_and_config(write(tmp_path, {1: [SQUARE]}))
    masks = masks_of(HalfPlanes([(21.0, 11.0), (44.0, 12.0)]), dataset, config)
    assert np.array_equal(masks[1], rectangle(0, 0, 20, 32))


def test_masks_are_in_the_pixels_of_the_file_whatever_the_validation_size(tmp_path: Path) -> None:
    # Seen at twice the size, the middle of (0, 0, 64, 64) has locations 28 and 36; left of 36: columns 0..17.
    dataset, config = boxes_and_config(write(tmp_path, {1: [SQUARE]}), short_side=2 * HEIGHT)
    masks = masks_of(HalfPlanes([(36.0, 28.0)]), dataset, config)
    assert np.array_equal(masks[1], rectangle(0, 0, 18, 32))


def test_a_mask_is_cut_to_its_box(tmp_path: Path) -> None:
    # The box 16..48 x 4..28 has its center at (32, 16): locations 28 and 36. Left of 36, and within the box.
    dataset, config = boxes_and_config(write(tmp_path, {1: [[16, 4, 32, 24]]}))
    masks = masks_of(HalfPlanes([(36.0, 12.0)]), dataset, config)
    assert np.array_equal(masks[1], rectangle(16, 4, 36, 28))


def test_the_filled_box_stands_in_where_there_is_no_location_or_no_mask(tmp_path: Path, caplog) -> None:
    # x 45..51 lies between the locations 44 and 52. The third image's masks are empty.
    narrow = [45, 2, 6, 20]
    dataset, config = boxes_and_config(write(tmp_path, {1: [SQUARE, narrow], 2: [SQUARE], 3: [SQUARE]}))
    masks = masks_of(HalfPlanes([(20.0, 12.0)], empty=(2,)), dataset, config)
    assert np.array_equal(masks[2], rectangle(45, 2, 51, 22))
    assert np.array_equal(masks[1], rectangle(0, 0, 20, 32))
    assert np.array_equal(masks[3], rectangle(0, 0, 20, 32))
    assert np.array_equal(masks[4], rectangle(0, 0, 32, 32))
    assert "1 of 4 instances have no location to predict a mask" in caplog.text
    assert "1 of 4 instances have an empty mask in their box" in caplog.text


def test_instances_with_a_mask_get_none_and_batches_change_nothing(tmp_path: Path) -> None:
    polygon = [[0, 0, 32, 0, 32, 32]]
    boxes = {1: [SQUARE, [30, 0, 32, 32]], 2: [SQUARE], 3: [], 4: [[8, 0, 32, 32]]}
    folder = write(tmp_path, boxes, segmentations={1: polygon, 3: polygon})
    peaks = [(20.0, 12.0), (50.0, 12.0)]
    dataset, config = boxes_and_config(folder)
    one_by_one = teacher_masks(HalfPlanes(peaks), dataset, config, Compute())
    assert set(one_by_one) == {2, 4}
    _, config = boxes_and_config(folder, batch_size=8)
    assert teacher_masks(HalfPlanes(peaks), dataset, config, Compute()) == one_by_one


def test_nothing_to_predict_is_no_masks(tmp_path: Path) -> None:
    folder = write(tmp_path, {1: [SQUARE]}, segmentations={1: [[0, 0, 32, 0, 32, 32]]})
    dataset, config = boxes_and_config(folder)
    assert teacher_masks(HalfPlanes([(0.0, 0.0)]), dataset, config, Compute()) == {}
    assert grabcut_masks(dataset) == {}


def student_config(root: Path) -> Config:
    return tiny(root, supervision={"pseudo_masks": "teacher"}, training={"epochs": 1, "evaluate_every": None})


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult, list[dict]]:
    """A student's training: its folder, its result and the epochs it reported."""
    folder, seen = tmp_path_factory.mktemp("student"), []
    return folder, run(student_config(root), folder, on_epoch=seen.append), seen


def test_a_student_learns_from_masks_alone_and_reports_its_own_epochs(whole) -> None:
    _, result, seen = whole
    assert seen == result.curves
    assert [numbers["epoch"] for numbers in result.curves] == [1]
    assert result.curves[0]["loss/dice"] > 0 == result.curves[0]["loss/projection"]


def test_the_teacher_is_the_same_training_without_pseudo_masks(root: Path, tmp_path: Path, whole) -> None:
    folder, result, _ = whole
    config = without_pseudo_masks(student_config(root))
    teacher = run(config, folder / "teacher")  # finished: only evaluated
    alone = run(config, tmp_path)
    assert comparable(teacher) == comparable(alone)
    assert alone.curves[0]["loss/projection"] > 0
    assert "loss/dice" not in alone.curves[0]  # off where no mask is annotated
    assert result.seconds > result.curves[-1]["seconds"] + teacher.seconds  # and the time of the masks


@pytest.mark.parametrize("killed", ["teacher", "student"])
def test_killed_and_resumed_is_equal_to_the_bit(root: Path, tmp_path: Path, monkeypatch, whole, killed: str) -> None:
    folder = tmp_path / "student"
    save = training.save_checkpoint

    def kill(path: Path, state: dict, **identity) -> None:
        save(path, state, **identity)
        if path.parent.name == killed:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", kill)
    with pytest.raises(KeyboardInterrupt):
        run(student_config(root), folder)
    assert (folder / PSEUDO_MASKS).exists() == (killed == "student")
    monkeypatch.setattr(training, "save_checkpoint", save)
    if killed == "student":  # the masks are there: their teacher is not asked again
        monkeypatch.setattr(training, "teacher_masks", None)
    resumed = run(student_config(root), folder)
    assert comparable(resumed) == comparable(whole[1])
    kept, made = (json.loads((path / PSEUDO_MASKS).read_text()) for path in (folder, whole[0]))
    assert kept["annotations"] == made["annotations"]
