import pytest
import torch

from core.targets.box_mask import box_masks


def test_a_box_covers_the_cells_whose_center_pixel_it_holds() -> None:
    # Centers at pixels 2, 6, 10, 14. Columns int(5.9) = 5 to int(10.2 + 1) - 1 = 10; rows 0 to int(2 + 1) - 1 = 2.
    mask = box_masks(torch.tensor([[5.9, 0.0, 10.2, 2.0]]), 2, 4)
    assert mask.int().tolist() == [[[0, 1, 1, 0], [0, 0, 0, 0]]]


def test_a_whole_number_side_takes_one_pixel_more_than_the_box() -> None:
    assert box_masks(torch.tensor([[0.0, 0.0, 6.0, 5.9]]), 2, 2).int().tolist() == [[[1, 1], [0, 0]]]


def test_a_box_between_the_sampled_pixels_is_empty() -> None:
    assert not box_masks(torch.tensor([[3.2, 3.2, 5.3, 9.0]]), 4, 4).any()


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_box_masks_equal_rasterizing_at_full_resolution_and_sampling(stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(20, 2, 2, generator=generator).sort(dim=1).values * torch.tensor([64.0, 48.0])
    expected = torch.zeros(20, 48, 64, dtype=torch.bool)
    for mask, ((x1, y1), (x2, y2)) in zip(expected, corners.tolist(), strict=True):
        mask[int(y1) : int(y2 + 1), int(x1) : int(x2 + 1)] = True
    sampled = expected[:, stride // 2 :: stride, stride // 2 :: stride]
    assert torch.equal(box_masks(corners.flatten(1), 48 // stride, 64 // stride, stride), sampled)


def test_no_boxes_give_no_masks() -> None:
    assert box_masks(torch.zeros(0, 4), 3, 5).shape == (0, 3, 5)


def test_box_masks_equal_golden(golden) -> None:
    values = golden("d_boxinst_mask_loss")
    boxes = torch.cat([torch.from_numpy(values["boxes0"]), torch.from_numpy(values["boxes1"])])
    expected = torch.from_numpy(values["gt_bitmasks"]) > 0
    assert torch.equal(box_masks(boxes, *expected.shape[1:]), expected)
