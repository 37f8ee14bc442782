import numpy as np
import pytest
import torch

from core.datasets.masks import centers_of_mass, decode, encode, sample_cell_centers, segmentation_problem


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


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[0, 0, 4, 0, 4]], "polygon is"),
        ([[0, 0, 4, 0, 4, float("inf")]], "not finite"),
        (["0,0"], "polygon is"),
        ("0,0", "expected polygons or a run-length encoding"),
        ({"size": [4, 5], "counts": [19]}, "covers 19 pixels, expected 20"),
        ({"size": [5, 4], "counts": [20]}, r"has size \[5, 4\], expected \[4, 5\]"),
        ({"size": [4, 5]}, "has counts None"),
    ],
)
def test_a_malformed_segmentation_is_described(segmentation, message):
    with pytest.raises(ValueError, match=message):
        raise ValueError(segmentation_problem(segmentation, 4, 5))


@pytest.mark.parametrize("segmentation", [[], [[0, 0, 4, 0, 4, 4]], [[1, 1]], {"size": [4, 5], "counts": "d0"}])
def test_a_sound_segmentation_has_no_problem(segmentation):
    assert segmentation_problem(segmentation, 4, 5) is None
