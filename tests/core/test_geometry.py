import pytest
import torch

from core.geometry import aligned_upsample, boxes_from_ltrb, centerness_from_ltrb, ltrb_from_boxes, pyramid_locations


def test_locations_are_cell_centers_level_first_then_row_major():
    locations, level_index, strides = pyramid_locations([(2, 2), (1, 2)], [8, 16])
    # stride 8: cells 0 and 1 at 4 and 12; stride 16: at 8 and 24
    assert locations.tolist() == [[4, 4], [12, 4], [4, 12], [12, 12], [8, 8], [24, 8]]
    assert level_index.tolist() == [0, 0, 0, 0, 1, 1]
    assert strides.tolist() == [8, 8, 8, 8, 16, 16]


def test_boxes_and_ltrb_are_inverse():
    locations = torch.tensor([[10.0, 20.0]])
    ltrb = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    boxes = boxes_from_ltrb(locations, ltrb)
    assert boxes.tolist() == [[9, 18, 13, 24]]
    assert torch.equal(ltrb_from_boxes(locations, boxes), ltrb)


def test_locations_outside_of_a_box_have_a_negative_distance():
    assert ltrb_from_boxes(torch.tensor([[0.0, 5.0]]), torch.tensor([[2.0, 0.0, 8.0, 9.0]])).tolist() == [[-2, 5, 8, 4]]


def test_centerness_of_hand_worked_distances():
    ltrb = torch.tensor([[2.0, 3.0, 2.0, 3.0], [1.0, 2.0, 4.0, 2.0], [1.0, 1.0, 4.0, 9.0]])
    # sqrt(2/2 * 3/3) = 1, sqrt(1/4 * 2/2) = 1/2, sqrt(1/4 * 1/9) = 1/6
    torch.testing.assert_close(centerness_from_ltrb(ltrb), torch.tensor([1, 1 / 2, 1 / 6]))


def test_upsampling_a_row_by_two_and_by_four():
    row = torch.tensor([0.0, 4.0, 8.0]).reshape(1, 1, 1, 3)
    # output i samples input (i - 1)/2: -0.5, 0, 0.5, 1, 1.5, 2
    assert aligned_upsample(row, 2)[0, 0, 0].tolist() == [0, 0, 2, 4, 6, 8]
    # output i samples input (i - 2)/4: -0.5, -0.25, 0, 0.25, ..., 2, 2.25
    assert aligned_upsample(row, 4)[0, 0, 0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8]


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
def test_upsampling_equals_sampling_at_shifted_positions(factor):
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)

    def sample(values, dim):  # brute force along one axis
        size = values.shape[dim]
        outputs = []
        for i in range(size * factor):
            position = min(max((i - factor // 2) / factor, 0), size - 1)
            low = int(position)
            high = min(low + 1, size - 1)
            fraction = position - low
            outputs.append((1 - fraction) * values.select(dim, low) + fraction * values.select(dim, high))
        return torch.stack(outputs, dim)

    torch.testing.assert_close(aligned_upsample(maps, factor), sample(sample(maps, 2), 3))


def test_first_upsampled_rows_and_columns_are_exact_copies():
    up = aligned_upsample(torch.randn(1, 2, 5, 6), 4)
    assert torch.equal(up[:, :, 0], up[:, :, 1])
    assert torch.equal(up[:, :, 0], up[:, :, 2])
    assert torch.equal(up[..., 0], up[..., 2])


def test_upsampling_no_maps_and_one_cell():
    assert aligned_upsample(torch.zeros(0, 1, 3, 4), 2).shape == (0, 1, 6, 8)
    assert torch.equal(aligned_upsample(torch.full((1, 1, 1, 1), 7.0), 4), torch.full((1, 1, 4, 4), 7.0))


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_golden_upsampling_and_its_gradient(golden, factor):
    values = golden("g_aligned_bilinear")
    maps = torch.tensor(values["x"], requires_grad=True)
    up = aligned_upsample(maps, factor)
    torch.testing.assert_close(up, torch.tensor(values[f"y_factor{factor}"]), rtol=1e-6, atol=1e-6)
    (up * torch.tensor(values[f"grad_weighting_factor{factor}"])).sum().backward()
    torch.testing.assert_close(maps.grad, torch.tensor(values[f"grad_x_factor{factor}"]), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["i_fcos_targets_boxcentre", "i_fcos_targets_no_center_sampling"])
def test_golden_locations_of_a_pyramid(golden, name):
    values = golden(name)
    sizes = [tuple(size) for size in values["level_hw"].tolist()]
    locations, level_index, strides = pyramid_locations(sizes, values["strides"].tolist())
    # The file goes level first, then image; one image's rows are in our order.
    for image in range(values["im_inds"].max() + 1):
        rows = values["im_inds"] == image
        assert torch.equal(locations, torch.tensor(values["locations"][rows]))
        assert torch.equal(level_index, torch.tensor(values["fpn_levels"][rows]).long())
    assert torch.equal(strides, torch.tensor(values["strides"])[level_index])
