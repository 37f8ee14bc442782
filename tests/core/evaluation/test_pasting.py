"""Masks pasted into the image file: hand-worked cases and a per-pixel oracle."""

import numpy as np
import pytest
import torch

from core.evaluation.postprocess import encode_masks, paste_masks, paste_region_masks
from tests.core.evaluation.replay import decode


def interpolate_row(values: list[float], position: float) -> float:
    """Linear interpolation between list entries, clamped at both ends."""
    position = min(max(position, 0.0), len(values) - 1.0)
    left = min(int(position), len(values) - 2)
    return values[left] + (position - left) * (values[left + 1] - values[left])


@pytest.mark.parametrize(("image_width", "original_width"), [(16, 16), (13, 13), (14, 31), (16, 7)])
def test_pasting_interpolates_probabilities_twice(image_width: int, original_width: int) -> None:
    logits = [-2.0, 4.0, -0.5, 0.3]  # of grid cells 0..3; all rows are equal
    probabilities = [1 / (1 + np.exp(-value)) for value in logits]
    # pixel x of the input image looks at cell (x - 2) / 4 ...
    row = [interpolate_row(probabilities, (x - 2) / 4) for x in range(image_width)]
    # ... pixel x of the file at input pixel (x + 1/2) * image_width / original_width - 1/2
    ratio = image_width / original_width
    expected = [interpolate_row(row, (x + 0.5) * ratio - 0.5) > 0.5 for x in range(original_width)]
    assert 0 < sum(expected) < original_width
    masks = paste_masks(torch.tensor(logits).expand(1, 5, 4), (20, image_width), (20, original_width))
    assert (decode(masks)[0] == np.array(expected)).all()


@pytest.mark.parametrize("original_width", [16, 32])
def test_a_pixel_of_probability_one_half_is_outside_of_the_mask(original_width: int) -> None:
    # AdelaiDet compares with > 0.5. A mask of nothing but 0.5 is empty, whether it is enlarged once or twice.
    undecided = torch.zeros(1, 4, 4)
    assert not decode(paste_masks(undecided, (16, 16), (original_width, original_width))).any()


def test_the_pixel_half_way_from_a_full_cell_to_an_empty_one_is_outside_of_the_mask() -> None:
    # Cells 0 and 1 hold 1, cells 2 and 3 hold 0 (exactly: exp(200) is more than float32 holds). They stand for the
    # pixels 2, 6, 10, 14: pixel 7 has 0.75, pixel 8 has 0.5, pixel 9 has 0.25.
    logits = torch.tensor([200.0, 200.0, -200.0, -200.0]).expand(1, 4, 4)
    (mask,) = decode(paste_masks(logits, (16, 16), (16, 16)))
    assert (mask == (np.arange(16) < 8)).all()
    (turned,) = decode(paste_masks(logits.mT, (16, 16), (16, 16)))
    assert (turned == mask.T).all()


def test_a_pixel_whose_middle_lies_on_the_side_of_a_region_is_outside_of_its_mask() -> None:
    # Full cells fall to one half of their probability at the side of the box: 0.5 at x = 2.5 and at x = 6.5.
    (mask,) = decode(paste_region_masks(torch.ones(1, 4, 4), torch.tensor([[2.5, 0.0, 6.5, 4.0]]), (4, 8)))
    assert np.flatnonzero(mask.any(0)).tolist() == [3, 4, 5]


def test_padding_does_not_reach_the_mask() -> None:
    # An image of 16x16 px, padded to 32x32. Cells 0..3 lie inside; what is right of pixel 16 must not blur into
    # the enlarged mask: with the second half empty, a mask over the whole image stays a mask over the whole image.
    logits = torch.full((1, 8, 8), -20.0)
    logits[:, :5, :5] = 20.0
    assert decode(paste_masks(logits, (16, 16), (48, 48))).all()


def test_a_full_mask_fills_the_pixels_whose_middle_lies_in_its_box() -> None:
    masks = decode(paste_region_masks(torch.ones(1, 4, 4), torch.tensor([[1.6, 2.0, 5.6, 7.4]]), (9, 8)))[0]
    # middles from 2.5 to 4.5 and 5.5 lie between 1.6 and 5.6; those from 2.5 to 6.5 between 2.0 and 7.4
    expected = np.zeros((9, 8), dtype=np.uint8)
    expected[2:7, 2:6] = 1
    np.testing.assert_array_equal(masks, expected)


def test_a_region_mask_is_interpolated_between_the_middles_of_its_cells() -> None:
    # Two cells of 4 pixels, their middles at 2 and 6. Along a row in the middle, pixels 0 to 4 hold 5/8 and 7/8 of 0.9
    # (it falls to 0 beyond the cell), then 0.8, 0.6, 0.4: the first four pass 0.5. Rows 1 and 6 hold 7/8 of that:
    # 0.49, 0.69, 0.70, 0.53; rows 0 and 7 hold 5/8: at most 0.5.
    probabilities = torch.tensor([[[0.9, 0.1], [0.9, 0.1]]])
    boxes = torch.tensor([[0.0, 0, 8, 8]])
    (mask,) = decode(paste_region_masks(probabilities, boxes, (8, 8)))
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[1:7, 1:4] = 1
    expected[2:6, 0] = 1
    np.testing.assert_array_equal(mask, expected)
    (turned,) = decode(paste_region_masks(probabilities.mT, boxes, (8, 8)))
    np.testing.assert_array_equal(turned, mask.T)


@pytest.mark.parametrize("pixel_budget", [1, 5000])
def test_region_masks_do_not_depend_on_the_pixel_budget(pixel_budget: int) -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(7, 28, 28, generator=generator)
    boxes = torch.tensor([[3.0, 5, 31, 29]]) + torch.arange(7)[:, None]
    whole = paste_region_masks(probabilities, boxes, (40, 50))
    assert paste_region_masks(probabilities, boxes, (40, 50), pixel_budget=pixel_budget) == whole
    assert paste_region_masks(probabilities[:0], boxes[:0], (40, 50)) == []


@pytest.mark.parametrize("pixel_budget", [1, 5000, 10**9])
def test_result_does_not_depend_on_the_pixel_budget(pixel_budget: int) -> None:
    logits = torch.randn(7, 8, 12, generator=torch.Generator().manual_seed(0))
    masks = paste_masks(logits, (30, 45), (21, 60), pixel_budget=pixel_budget)
    assert masks == [paste_masks(one[None], (30, 45), (21, 60))[0] for one in logits]


def test_zero_masks_paste_to_nothing() -> None:
    assert paste_masks(torch.zeros(0, 8, 8), (30, 30), (50, 40)) == []
    assert encode_masks(torch.zeros(0, 50, 40, dtype=torch.bool)) == []


def test_encoding_keeps_rows_and_columns_apart() -> None:
    mask = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.bool)
    encoded = encode_masks(torch.stack([mask, ~mask]))
    assert encoded[0]["size"] == [3, 4]
    np.testing.assert_array_equal(decode(encoded), torch.stack([mask, ~mask]).numpy())
