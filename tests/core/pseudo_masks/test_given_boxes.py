"""Masks for given boxes: whose location predicts the mask of a box, and what stands in for a missing mask."""

import numpy as np
import pytest
import torch
from PIL import Image

from core.config import Config
from core.config.file import build_config
from core.datasets.annotation_file import ImageRecord
from core.datasets.batch import collate
from core.datasets.crowds import Crowd
from core.datasets.filled_box import encode_mask
from core.pseudo_masks.given_boxes import EMPTY_MASK, NO_LOCATION, cut_to_box, masks_for_boxes, resized
from core.structures import Batch
from tests.core.pseudo_masks.test_teacher import HEIGHT, WIDTH, HalfPlanes, rectangle

SQUARE = [0.0, 0.0, 32.0, 32.0]


def config() -> Config:
    data = {"val_short_side": HEIGHT, "long_side_max": 4 * WIDTH}
    assignment = {"size_boundaries": [48, 96]}
    return build_config({"data": data, "model": {"levels": [3, 4, 5]}, "assignment": assignment}, "test")


def batch_of(
    boxes: list[list[float]], height: int = HEIGHT, width: int = WIDTH, crowds: tuple[Crowd, ...] = ()
) -> Batch:
    record = ImageRecord(
        image_id=1,
        file_name="",
        height=height,
        width=width,
        boxes=np.array(boxes, dtype=float).reshape(-1, 4),
        labels=np.zeros(len(boxes), dtype=np.int64),
        annotation_ids=tuple(range(len(boxes))),
        segmentations=(None,) * len(boxes),
        num_flat_boxes=0,
        num_clipped_boxes=0,
        crowds=crowds,
    )
    return collate([resized(record, Image.new("RGB", (width, height)), config().data)])


def masks_of(boxes: list[list[float]], peaks: list[tuple[float, float]]) -> list[dict | None]:
    return masks_for_boxes(HalfPlanes(peaks), batch_of(boxes), config(), labeled=torch.zeros(len(boxes), dtype=bool))


def test_the_best_location_in_the_middle_of_the_box_predicts_its_mask() -> None:
    # As in the teacher's test: (20, 12) is nearest to the peak; the mask is all that lies left of x = 20.
    assert masks_of([SQUARE], [(21.0, 11.0)]) == [encode_mask(rectangle(0, 0, 20, 32))]


def test_crowds_are_not_looked_at_since_no_loss_is_computed() -> None:
    malformed = Crowd(9, (0.0, 0.0, 64.0, 32.0), "no mask")
    assert batch_of([SQUARE], crowds=(malformed,)).annotations[0].ignored is None


def test_masks_are_in_the_pixels_of_the_image_whatever_the_validation_size() -> None:
    # At twice the size this is the square, whose best location, x = 20, is x = 10 here.
    batch, unlabeled = batch_of([[0, 0, 16, 16]], 16, 32), torch.tensor([False])
    found = masks_for_boxes(HalfPlanes([(21.0, 11.0)]), batch, config(), labeled=unlabeled)
    expected = np.zeros((16, 32), dtype=bool)
    expected[:, :10] = True
    assert found == [encode_mask(expected)]


def test_a_contested_location_goes_to_the_smaller_box_and_the_other_takes_its_next() -> None:
    # Both boxes have their middle at (16, 16). The small one takes all four locations around it.
    small = [8.0, 8.0, 24.0, 24.0]
    together = masks_of([SQUARE, small], [(20.0, 20.0)])
    assert together[1] == encode_mask(rectangle(0, 0, 20, 32))
    # The square is left without, and is assigned its locations as if alone.
    assert together[0] == masks_of([SQUARE], [(20.0, 20.0)])[0]


def test_equal_boxes_get_equal_masks() -> None:
    assert masks_of([SQUARE] * 3, [(20.0, 12.0)]) == [encode_mask(rectangle(0, 0, 20, 32))] * 3


def test_a_box_between_the_locations_has_no_mask_and_no_boxes_have_none() -> None:
    assert masks_of([[45.0, 2.0, 51.0, 22.0], SQUARE], [(20.0, 12.0)])[0] is None
    assert masks_of([], [(20.0, 12.0)]) == []


@pytest.mark.parametrize(
    ("mask", "expected", "reason"),
    [
        (rectangle(0, 0, 40, 20), rectangle(16, 4, 40, 20), None),
        (rectangle(0, 0, 10, 20), rectangle(16, 4, 48, 28), EMPTY_MASK),
        (None, rectangle(16, 4, 48, 28), NO_LOCATION),
    ],
    ids=["cropped", "nothing in the box", "none"],
)
def test_a_mask_is_cut_to_its_box_and_the_filled_box_stands_in(
    mask: np.ndarray | None, expected: np.ndarray, reason: str | None
) -> None:
    box = np.array([16.0, 4.0, 48.0, 28.0])
    encoded = None if mask is None else encode_mask(mask)
    assert cut_to_box(encoded, box, HEIGHT, WIDTH) == (encode_mask(expected), reason)
