import pytest
import torch

from core.geometry import (
    boxes_from_ltrb,
    centerness_from_ltrb,
    ltrb_from_boxes,
    paste_on_grid,
    pyramid_locations,
)


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


def test_a_pasted_mask_is_interpolated_between_its_cells_and_constant_beyond_them():
    # Two columns of cells, 0 and 8, from x = 0.5 to 16.5: 8 px wide, centers at 4.5 and 12.5. The grid's cells are at
    # 2.5, 6.5, 10.5, 14.5, 18.5: before the first center, 1/4 and 3/4 between the two, beyond the last, outside.
    logits = torch.tensor([[[0.0, 8.0], [0.0, 8.0]]])
    pasted = paste_on_grid(logits, torch.tensor([[0.5, 4.0, 16.5, 12.0]]), 4, 5, outside=-9.0)
    row = [0, 2, 6, 8, -9]
    assert pasted.tolist() == [[[-9] * 5, row, row, [-9] * 5]]  # of rows at 2.5, 6.5, 10.5, 14.5, two are in 4..12
    turned = paste_on_grid(logits.mT, torch.tensor([[4.0, 0.5, 12.0, 16.5]]), 5, 4, outside=-9.0)
    assert torch.equal(turned, pasted.mT)


def pasted_cell(logits: torch.Tensor, box: list[float], y: int, x: int, outside: float) -> torch.Tensor:
    """One cell of a pasted mask, from the four cells of the region around it."""
    m, (x1, y1, x2, y2) = len(logits), box
    center_x, center_y = 4 * x + 2.5, 4 * y + 2.5
    if not (x1 <= center_x < x2 and y1 <= center_y < y2):
        return logits.new_tensor(outside)
    u = min(max((center_x - x1) / (x2 - x1) * m - 0.5, 0), m - 1)
    v = min(max((center_y - y1) / (y2 - y1) * m - 0.5, 0), m - 1)
    left, top = min(int(u), m - 2), min(int(v), m - 2)
    a, b = u - left, v - top
    above = (1 - a) * logits[top, left] + a * logits[top, left + 1]
    return (1 - b) * above + b * ((1 - a) * logits[top + 1, left] + a * logits[top + 1, left + 1])


def test_pasting_equals_a_loop_over_cells_in_value_and_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[3.0, 1.0, 21.0, 30.0], [-4.0, -4.0, 9.5, 70.0], [11.0, 11.0, 14.0, 14.0]]).double()
    pasted = paste_on_grid(logits, boxes, 7, 6, outside=-3.0)
    expected = torch.stack(
        [
            torch.stack([pasted_cell(logits[n], boxes[n].tolist(), y, x, -3.0) for y in range(7) for x in range(6)])
            for n in range(3)
        ]
    ).reshape(3, 7, 6)
    torch.testing.assert_close(pasted, expected)
    weights = torch.randn(3, 7, 6, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((pasted * weights).sum(), logits)
    (plain,) = torch.autograd.grad((expected * weights).sum(), logits)
    torch.testing.assert_close(gradient, plain)
    assert not gradient[2].any()  # a box between the cells of the grid


def test_no_region_pastes_to_no_mask():
    assert paste_on_grid(torch.zeros(0, 28, 28), torch.zeros(0, 4), 3, 4, outside=-1.0).shape == (0, 3, 4)
