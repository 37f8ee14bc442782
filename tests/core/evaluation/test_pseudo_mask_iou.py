"""The IoU of pseudo masks with the true masks that the training did not see; others do not count."""

import json
import math
from pathlib import Path

import pytest

from core.datasets.filled_box import encode_mask, filled_box
from core.evaluation.pseudo_mask_iou import pseudo_mask_quality, read_masks
from core.pseudo_masks.grabcut import PSEUDO_MASKS
from core.record import PSEUDO_MASK_QUALITY, QUALITY
from tests.core.pseudo_masks.disks import DISK_BOX, HEIGHT, OTHER_BOX, WIDTH, data_set, file_of, folder, write, xyxy

__all__ = ["folder"]  # a fixture: two images, 7 and 9, each with two boxes whose true mask is the filled box


def left_part(box: list[float], share: float) -> dict:
    """The mask of the left part of a box."""
    x, y, width, height = box
    return encode_mask(filled_box(xyxy([x, y, share * width, height]), HEIGHT, WIDTH))


PSEUDO = {70: left_part(DISK_BOX, 0.5), 71: left_part(OTHER_BOX, 1), 90: left_part(DISK_BOX, 0.75),
          91: left_part(OTHER_BOX, 0.25)}  # fmt: skip


def test_mean_and_median_of_all_instances_that_were_hidden(folder: Path) -> None:
    hidden = data_set(folder, mask_ratio=0.0)
    write(folder / PSEUDO_MASKS, hidden, PSEUDO)
    quality = pseudo_mask_quality(read_masks(folder / PSEUDO_MASKS), hidden, file_of(hidden))
    assert tuple(quality) == PSEUDO_MASK_QUALITY
    assert set(quality) < set(QUALITY)
    # IoU 0.5, 1, 0.75 and 0.25
    assert quality == {"pseudo_mask_iou": pytest.approx(0.625), "pseudo_mask_iou_median": pytest.approx(0.625)}


def test_instances_whose_mask_is_trained_on_do_not_count(folder: Path) -> None:
    half = data_set(folder, mask_ratio=0.5)  # one of two images
    (image_id,) = (record.image_id for record in half.records if record.segmentations[0] is None)
    write(folder / PSEUDO_MASKS, half, {i: mask for i, mask in PSEUDO.items() if i // 10 == image_id})
    quality = pseudo_mask_quality(read_masks(folder / PSEUDO_MASKS), half, file_of(half))
    assert quality["pseudo_mask_iou"] == pytest.approx({7: (0.5 + 1) / 2, 9: (0.75 + 0.25) / 2}[image_id])


def test_an_instance_that_got_no_mask_does_not_count(folder: Path) -> None:
    hidden = data_set(folder, mask_ratio=0.0)
    some = {70: PSEUDO[70], 90: PSEUDO[90], 91: []}
    assert pseudo_mask_quality(some, hidden, file_of(hidden))["pseudo_mask_iou"] == pytest.approx((0.5 + 0.75) / 2)


def test_true_masks_that_are_missing_or_malformed_are_left_out_not_refused(folder: Path) -> None:
    path = folder / "instances.json"
    content = json.loads(path.read_text())
    for annotation, segmentation in zip(content["annotations"], (None, [[1, 2, 3]], "no mask"), strict=False):
        annotation["segmentation"] = segmentation
    path.write_text(json.dumps(content))
    hidden = data_set(folder, mask_ratio=0.0)
    write(folder / PSEUDO_MASKS, hidden, PSEUDO)
    quality = pseudo_mask_quality(read_masks(folder / PSEUDO_MASKS), hidden, file_of(hidden))
    assert quality["pseudo_mask_iou"] == pytest.approx(0.25)  # of annotation 91 alone
    content["annotations"][3]["segmentation"] = []
    path.write_text(json.dumps(content))
    quality = pseudo_mask_quality(read_masks(folder / PSEUDO_MASKS), hidden, file_of(hidden))
    assert all(math.isnan(value) for value in quality.values())


def test_the_true_masks_are_compared_and_not_changed(folder: Path) -> None:
    hidden = data_set(folder, mask_ratio=0.0)
    write(folder / PSEUDO_MASKS, hidden, PSEUDO)
    file = file_of(hidden)
    before, records = json.dumps(file.content), list(hidden.records)
    pseudo_mask_quality(read_masks(folder / PSEUDO_MASKS), hidden, file)
    assert json.dumps(file.content) == before
    assert hidden.records == records
    assert all(segmentation is None for record in records for segmentation in record.segmentations)
    assert not hidden.has_masks
