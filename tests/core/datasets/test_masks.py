import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from core.datasets.mask_tensors import centers_of_mass, decode, sample_cell_centers, semantic_labels
from core.datasets.masks import encode, has_area, is_empty
from core.structures import BACKGROUND


def test_polygons_are_rasterized_and_sampled_as_golden(golden):
    values = golden("h2_polygon_bitmasks")
    height, width = values["padded_size"].tolist()
    owners = values["poly_inst"].tolist()
    instances = [
        [values[f"poly{i}"].tolist() for i, owner in enumerate(owners) if owner == instance]
        for instance in sorted(set(owners))
    ]
    full = decode([encode(polygons, height, width) for polygons in instances], height, width)
    np.testing.assert_array_equal(full.numpy(), values["gt_bitmasks_full"])
    np.testing.assert_array_equal(sample_cell_centers(full).numpy(), values["gt_bitmasks_stride4"])


def test_the_grid_samples_the_pixel_at_each_cell_center():
    mask = torch.zeros(1, 7, 6, dtype=torch.uint8)
    mask[0, 2, 2] = 1  # the center of cell (0, 0)
    mask[0, 6, 3] = 1  # row 6 is the center of cell row 1, column 3 is no center
    assert sample_cell_centers(mask).tolist() == [[[True], [False]]]


def test_the_center_of_mass_is_the_mean_pixel_index():
    mask = torch.zeros(2, 4, 5, dtype=torch.uint8)
    mask[0, 1, 1] = mask[0, 1, 2] = mask[0, 3, 3] = 1
    centers = centers_of_mass(mask, otherwise=torch.tensor([[9.0, 9.0], [7.0, 8.0]]))
    # x: (1 + 2 + 3) / 3, y: (1 + 1 + 3) / 3; the second mask is empty
    torch.testing.assert_close(centers, torch.tensor([[2.0, 5 / 3], [7.0, 8.0]]))


def test_centers_of_mass_do_not_overflow_on_large_masks():
    mask = torch.ones(1, 300, 400, dtype=torch.uint8)
    assert centers_of_mass(mask, otherwise=torch.zeros(1, 2)).tolist() == [[199.5, 149.5]]


def test_no_masks_decode_to_none():
    assert decode([], 4, 5).shape == (0, 4, 5)


@pytest.mark.parametrize("segmentation", [None, [], [[]], [[1, 1, 5, 5]], [5], [None]])
def test_polygons_of_fewer_than_three_vertices_have_no_area(segmentation):
    assert not has_area(segmentation)


def test_a_polygon_among_shorter_parts_has_area():
    triangle = [0, 0, 8, 0, 8, 8]
    assert has_area([[], [1, 1, 5, 5], triangle])
    assert encode([[], [1, 1, 5, 5], triangle], 10, 10) == encode([triangle], 10, 10)


def test_a_mask_is_empty_if_no_pixel_is_in_it():
    pixels = np.zeros((4, 5), dtype=np.uint8, order="F")
    compressed = coco_mask.encode(pixels)
    for empty in ([[0.1, 0.1, 0.2, 0.1, 0.2, 0.2]], [[6, 1, 9, 1, 9, 3]], {"size": [4, 5], "counts": [20]}, compressed):
        assert is_empty(empty, 4, 5)
    for one in ([[1, 1, 3, 1, 3, 3, 1, 3]], {"size": [4, 5], "counts": [19, 1]}):
        assert not is_empty(one, 4, 5)


def rectangles(*sides: tuple[int, int, int, int]) -> torch.Tensor:
    """Masks of 16 x 24 pixels; sides are first and last-but-one row and column."""
    masks = torch.zeros(len(sides), 16, 24, dtype=torch.uint8)
    for mask, (top, bottom, left, right) in zip(masks, sides, strict=True):
        mask[top:bottom, left:right] = 1
    return masks


def test_a_cell_of_stride_8_shows_the_smallest_mask_at_its_center():
    # Cell centers: rows 4, 12 and columns 4, 12, 20. The third mask holds but the center (12, 20).
    masks = rectangles((0, 16, 0, 16), (4, 5, 12, 13), (5, 16, 13, 24))
    expected = [[7, 5, BACKGROUND], [7, 7, 3]]
    assert semantic_labels(masks, torch.tensor([7, 5, 3])).tolist() == expected
    order = torch.tensor([2, 0, 1])
    assert semantic_labels(masks[order], torch.tensor([7, 5, 3])[order]).tolist() == expected


def test_of_masks_of_equal_size_the_first_is_shown():
    assert semantic_labels(rectangles((0, 8, 0, 8), (0, 8, 0, 8)), torch.tensor([2, 1])).tolist()[0] == [2, -1, -1]


def test_without_masks_every_cell_is_background():
    assert semantic_labels(rectangles(), torch.zeros(0, dtype=torch.int64)).tolist() == [[BACKGROUND] * 3] * 2
