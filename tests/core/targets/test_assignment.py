"""Which locations answer for which instance: by hand and exactly as AdelaiDet (golden i)."""

import numpy as np
import pytest
import torch

from core.geometry import centerness_from_ltrb, pyramid_locations
from core.structures import BACKGROUND, Annotations, Assignment
from core.targets.assignment import assign_locations, rasterized_box_centers
from tests.core.targets.box_annotations import annotations

STRIDES = [8, 16, 32, 64, 128]
BOUNDARIES = (64.0, 128.0, 256.0, 512.0)


def assign(
    per_image: list[Annotations], height: int, width: int, radius: float = 1.5, center: str = "box"
) -> Assignment:
    sizes = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
    pyramid = pyramid_locations(sizes, STRIDES)
    return assign_locations(*pyramid, per_image, size_boundaries=BOUNDARIES, center_radius=radius, center=center)


def positive_locations(assignment: Assignment, height: int, width: int) -> list[tuple[float, float, int]]:
    """(x, y, stride) of the positives of the first image."""
    sizes = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
    locations, _, strides = pyramid_locations(sizes, STRIDES)
    found = assignment.labels[0] != BACKGROUND
    return [(x, y, s) for (x, y), s in zip(locations[found].tolist(), strides[found].tolist(), strict=True)]


def test_a_small_box_takes_the_locations_around_its_center() -> None:
    # Center (20, 20); stride 8 locations at 4, 12, 20, 28, ...: those less than 12 away are 12, 20 and 28.
    assignment = assign([annotations([[0, 4, 40, 36]])], 64, 64)
    assert positive_locations(assignment, 64, 64) == [(x, y, 8) for y in (12, 20, 28) for x in (12, 20, 28)]
    # At (12, 12): left 12, top 8, right 28, bottom 24, over 8.
    assert assignment.ltrb[0, 1 * 8 + 1].tolist() == [1.5, 1.0, 3.5, 3.0]
    assert not assignment.ltrb[assignment.labels == BACKGROUND].any()


@pytest.mark.parametrize(("box", "axis"), [([4, 4, 44, 36], 0), ([4, 4, 36, 44], 1)], ids=["x", "y"])
def test_a_location_on_the_side_of_the_center_region_is_not_inside(box: list[float], axis: int) -> None:
    # Along one axis the center is 24, as far from 12 and 36 as the radius of 1.5 strides; along the other it is 20.
    found = positive_locations(assign([annotations([box])], 64, 64), 64, 64)
    assert sorted({location[axis] for location in found}) == [20, 28]
    assert sorted({location[1 - axis] for location in found}) == [12, 20, 28]


def test_a_radius_below_one_stride_samples_the_center_all_the_same() -> None:
    # Center (20, 22), 4 px to each side.
    assignment = assign([annotations([[0, 4, 40, 40]])], 64, 64, radius=0.5)
    assert positive_locations(assignment, 64, 64) == [(20, 20, 8)]


def test_a_location_on_the_side_of_the_box_is_not_inside() -> None:
    # The left side lies on x = 12 and the bottom one on y = 28.
    assignment = assign([annotations([[12, 12.5, 28.5, 28]])], 64, 64)
    assert positive_locations(assignment, 64, 64) == [(20, 20, 8), (28, 20, 8)]


def test_an_object_of_exactly_a_boundarys_size_is_positive_on_two_levels() -> None:
    # From x = 28 in stride 8 the right side is 92 - 28 = 64 away, from x = 20 it is 72.
    on_the_boundary = assign([annotations([[8, 8, 92, 40]])], 64, 96, radius=0.0)
    found = {(x, stride) for x, _, stride in positive_locations(on_the_boundary, 64, 96)}
    assert (28, 8) in found
    assert (20, 8) not in found
    # From x = 24 in stride 16 it is 88 - 24 = 64 away, from x = 40 both sides are nearer.
    on_the_boundary = assign([annotations([[8, 8, 88, 40]])], 64, 96, radius=0.0)
    found = {(x, stride) for x, _, stride in positive_locations(on_the_boundary, 64, 96)}
    assert (24, 16) in found
    assert (40, 16) not in found


def test_the_smallest_box_wins_and_the_first_of_equal_ones() -> None:
    boxes = [[0, 0, 48, 48], [8, 8, 40, 40], [8, 8, 40, 40]]
    assignment = assign([annotations(boxes, labels=[5, 6, 7])], 64, 64)
    found = assignment.labels[0] != BACKGROUND
    assert set(assignment.instance_index[0, found].tolist()) == {1}
    assert set(assignment.labels[0, found].tolist()) == {6}


def test_images_do_not_affect_one_another() -> None:
    images = [annotations([[0, 0, 30, 30]]), annotations([]), annotations([[5, 5, 60, 50], [20, 0, 64, 64]])]
    together = assign(images, 64, 64)
    for i, image in enumerate(images):
        alone = assign([image], 64, 64)
        assert torch.equal(together.labels[i], alone.labels[0])
        assert torch.equal(together.instance_index[i], alone.instance_index[0])
        assert torch.equal(together.ltrb[i], alone.ltrb[0])
    assert not (together.labels[1] != BACKGROUND).any()


def test_transposing_the_image_transposes_the_assignment() -> None:
    boxes = torch.tensor([[3.0, 7, 40, 21], [30, 2, 63, 60]])
    straight, transposed = (assign([annotations(b)], 64, 64) for b in (boxes, boxes[:, [1, 0, 3, 2]]))
    first_level = straight.labels[0, :64].view(8, 8)
    assert torch.equal(first_level.T, transposed.labels[0, :64].view(8, 8))


def test_the_center_of_a_rasterized_box_is_that_of_its_pixels() -> None:
    # Pixels 2..5 and 1..3; then pixels 6..7 of 6..9, cut at the image's right side.
    boxes = torch.tensor([[[2.9, 1.5, 5.1, 3.99], [6.0, 0.0, 9.0, 0.5]]])
    assert rasterized_box_centers(boxes, (8, 8)).tolist() == [[[3.5, 2.0], [6.5, 0.0]]]


def test_the_rasterized_box_ends_with_the_padded_image() -> None:
    # Pixels 32..63 have the center 47.5, of which 36 is less than 12 away; with one pixel more it would be 48.
    assignment = assign([annotations([[32, 8, 64, 40]])], 64, 64, center="rasterized_box")
    assert {x for x, _, _ in positive_locations(assignment, 64, 64)} == {36, 44, 52}


@pytest.mark.parametrize(("first", "second", "positives"), [((0, 9), (40, 40), False), ((9, 0), (0, 40), True)])
def test_a_first_center_in_pixel_column_zero_makes_the_image_background(
    first: tuple[float, float], second: tuple[float, float], positives: bool
) -> None:
    image = annotations([[0, 0, 30, 30], [20, 20, 60, 60]])
    image.mask_centroids[:] = torch.tensor([first, second])
    assert (assign([image], 64, 64, center="box").labels != BACKGROUND).any()
    assert (assign([image], 64, 64, center="mask").labels != BACKGROUND).any() == positives


def golden_annotations(values: dict[str, np.ndarray]) -> list[Annotations]:
    """The recorded annotations, with the centroids of the masks where the file has masks."""
    height, width = values["image_size"].tolist()
    x, y = torch.arange(width, dtype=torch.float32), torch.arange(height, dtype=torch.float32)
    images = []
    for i in range(sum(key.startswith("boxes") for key in values)):
        image = annotations(torch.from_numpy(values[f"boxes{i}"]), torch.from_numpy(values[f"classes{i}"]))
        packed = values.get(f"bitmasks_full{i}_packed")
        if packed is not None:
            bits = np.unpackbits(packed)[: len(image.boxes) * height * width]
            masks = torch.from_numpy(bits).view(-1, height, width).float()
            moments = [(masks * weight).sum(-1).sum(-1) for weight in (x, y[:, None])]
            image.mask_centroids[:] = torch.stack(moments, 1) / masks.sum(-1).sum(-1).clamp(min=1e-6)[:, None]
        images.append(image)
    return images


def level_first(values: torch.Tensor, level_index: torch.Tensor) -> torch.Tensor:
    """From image first, then level, to level first, then image: the order of the recorded targets."""
    return torch.cat([values[:, level_index == level].flatten(0, 1) for level in range(int(level_index.max()) + 1)])


CASES = {
    "boxcentre": (1.5, "box"),
    "boxinst_boxmask": (1.5, "rasterized_box"),
    "no_center_sampling": (0.0, "box"),
    "polygon_triangle": (1.5, "mask"),
    "quirk_first_mask_empty": (1.5, "mask"),
}


@pytest.mark.parametrize("case", CASES)
def test_assignment_equals_golden_exactly(golden, case: str) -> None:
    values = golden(f"i_fcos_targets_{case}")
    radius, center = CASES[case]
    images = golden_annotations(values)
    expected_labels = torch.from_numpy(values["labels"]).long()
    expected_labels[expected_labels == 80] = BACKGROUND
    image_of_row = torch.from_numpy(values["im_inds"])
    if case == "quirk_first_mask_empty":
        # The masks were the rasterized boxes, but for an empty first one where all locations are background.
        for i, image in enumerate(images):
            if len(image.boxes):
                image.mask_centroids[:] = rasterized_box_centers(
                    image.boxes[None], tuple(values["image_size"].tolist())
                )[0]
                if not (expected_labels[image_of_row == i] != BACKGROUND).any():
                    image.mask_centroids[0] = 0
    locations, level_index, strides = pyramid_locations(
        [tuple(size) for size in values["level_hw"].tolist()], values["strides"].tolist()
    )
    assignment = assign_locations(
        locations,
        level_index,
        strides,
        images,
        size_boundaries=BOUNDARIES,
        center_radius=radius,
        center=center,
    )
    assert torch.equal(level_first(assignment.labels, level_index), expected_labels)
    positive = expected_labels != BACKGROUND
    assert torch.equal(positive.nonzero().squeeze(1), torch.from_numpy(values["pos_inds"]))
    counts = torch.tensor([len(image.boxes) for image in images])
    target_index = level_first(assignment.instance_index + (counts.cumsum(0) - counts)[:, None], level_index)
    assert torch.equal(target_index[positive], torch.from_numpy(values["target_inds"]).long()[positive])
    ltrb = level_first(assignment.ltrb, level_index)[positive]
    assert torch.equal(ltrb, torch.from_numpy(values["reg_targets"])[positive])
    centerness = torch.from_numpy(values["ctrness_pos"])
    torch.testing.assert_close(centerness_from_ltrb(ltrb), centerness, atol=1e-6, rtol=0)


def test_assignment_of_a_large_image_equals_golden_exactly(golden) -> None:
    values = golden("i4_fcos_targets_large_pos_only")
    locations, level_index, strides = pyramid_locations([tuple(size) for size in values["level_hw"].tolist()], STRIDES)
    image = annotations(torch.from_numpy(values["boxes"]), torch.from_numpy(values["classes"]))
    expected = {name: torch.from_numpy(value) for name, value in values.items()}
    assignment = assign_locations(
        locations,
        level_index,
        strides,
        [image],
        size_boundaries=BOUNDARIES,
        center_radius=1.5,
        center="rasterized_box",
    )
    _, location_index = assignment.positives()
    assert torch.equal(location_index, expected["pos_inds"])
    assert torch.equal(assignment.labels[0, location_index], expected["labels_pos"])
    assert torch.equal(assignment.instance_index[0, location_index], expected["target_inds_pos"])
    assert torch.equal(level_index[location_index], expected["fpn_levels_pos"])
    assert torch.equal(locations[location_index], expected["locations_pos"])
    assert torch.equal(assignment.ltrb[0, location_index], expected["reg_targets_pos"])
    centerness = centerness_from_ltrb(assignment.ltrb[0, location_index])
    torch.testing.assert_close(centerness, expected["ctrness_pos"], atol=1e-6, rtol=0)
