"""Locations in ignored regions, and a loss that does not depend on what the network says there."""

from dataclasses import replace

import pytest
import torch

from core.config import AssignmentConfig, LossConfig
from core.geometry import pyramid_locations
from core.losses.criterion import Outputs, Targets, criterion
from core.structures import BACKGROUND, Annotations, Batch, Predictions, Selection
from core.targets.assignment import assign
from core.targets.ignored import ignored_cells, ignored_locations
from core.targets.mask_targets import build_mask_targets
from tests.core.targets.test_mask_targets import annotations

STRIDES = [8, 16]
SETTINGS = AssignmentConfig(size_boundaries=(32.0,), center="box")
SIDE = 32  # px: locations at 4, 12, 20, 28 and at 8, 24


def predictions_of(count: int) -> Predictions:
    """Random predictions for images of SIDE x SIDE pixels and two classes."""
    locations, level_index, strides = pyramid_locations([(4, 4), (2, 2)], STRIDES)
    generator = torch.Generator().manual_seed(0)
    return Predictions(
        class_logits=torch.randn(count, 20, 2, generator=generator),
        ltrb=torch.rand(count, 20, 4, generator=generator) + 0.5,
        centerness_logits=torch.randn(count, 20, generator=generator),
        locations=locations,
        level_index=level_index,
        strides=strides,
        box_tower=[],
        mask_features=torch.zeros(count, 1, 1, 1),
        semantic_logits=torch.randn(count, 2, 4, 4, generator=generator),
    )


def image_with(boxes: list[list[float]], region: tuple[slice, slice] | None) -> Annotations:
    """An image of 8 x 8 cells with a region given by its rows and columns of cells."""
    image = annotations(boxes, 8, 8)
    if region is None:
        return image
    ignored = torch.zeros(8, 8, dtype=torch.bool)
    ignored[region] = True
    return replace(image, ignored=ignored, ignored_boxes=torch.zeros(1, 4))


def test_a_location_is_in_the_region_of_its_cell_on_every_level() -> None:
    cells = torch.zeros(1, 8, 8, dtype=torch.bool)
    cells[0, 0:2, 1:4] = True  # x 4..15, y 0..7
    locations, _, _ = pyramid_locations([(4, 4), (2, 2)], STRIDES)
    found = locations[ignored_locations(cells, locations)[0]]
    assert found.tolist() == [[4, 4], [12, 4]]  # (8, 8) of stride 16 is just below
    cells[0, 2, 1:4] = True
    found = locations[ignored_locations(cells, locations)[0]]
    assert found.tolist() == [[4, 4], [12, 4], [8, 8]]


def test_locations_beyond_the_grid_are_in_no_region() -> None:
    everything = torch.ones(2, 8, 8, dtype=torch.bool)
    locations = torch.tensor([[31.0, 31.0], [64.0, 4.0], [4.0, 32.0]])
    assert ignored_locations(everything, locations).tolist() == [[True, False, False]] * 2


def test_images_without_a_region_have_no_ignored_cell_and_a_batch_without_any_has_none() -> None:
    plain, other = image_with([], None), image_with([], (slice(1, 3), slice(0, 8)))
    assert ignored_cells([plain, plain]) is None
    cells = ignored_cells([plain, other])
    assert cells.sum((1, 2)).tolist() == [0, 16]


def test_positives_in_a_region_stay_positive() -> None:
    # Of stride 8, locations 4 and 12 are near the center (8, 8) of the box; the region is the upper half.
    image = image_with([[0, 0, 16, 16]], (slice(0, 4), slice(0, 8)))
    predictions = predictions_of(1)
    assignment, plain = (assign(predictions, [a], SETTINGS) for a in (image, image_with([[0, 0, 16, 16]], None)))
    assert plain.ignored is None
    assert torch.equal(assignment.labels, plain.labels)
    positive = (assignment.labels[0] != BACKGROUND)[:16].view(4, 4)
    ignored = assignment.ignored[0]
    assert positive.int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert ignored[:16].view(4, 4).int().tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert ignored[16:].tolist() == [True, True, False, False]  # stride 16: (8, 8) and (24, 8) are in the upper half


def losses(predictions: Predictions, per_image: list[Annotations]) -> dict[str, torch.Tensor]:
    count = len(per_image)
    sizes = [(SIDE, SIDE)] * count
    images = torch.randint(
        0, 256, (count, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    batch = Batch(images, per_image, sizes, list(range(count)), sizes, [0] * count)
    loss = LossConfig(semantic=1.0, color_threshold=0.0)
    nothing = torch.zeros(0, dtype=torch.int64)
    outputs = Outputs(predictions, Selection(nothing, nothing, nothing), torch.zeros(0, 8, 8))
    targets = Targets(assign(predictions, per_image, SETTINGS), build_mask_targets(batch, loss))
    return criterion(outputs, targets, loss, step=0, steps=1).unweighted


def test_what_the_network_says_in_a_region_changes_no_loss() -> None:
    labels = torch.full((4, 4), BACKGROUND)
    labels[0, 0] = 1
    image = replace(image_with([[0, 0, 16, 16]], (slice(0, 4), slice(0, 8))), semantic_labels=labels)
    plain = replace(image, ignored=None, ignored_boxes=None)
    predictions = predictions_of(2)
    ignored = assign(predictions, [image, plain], SETTINGS).ignored
    changed = replace(
        predictions,
        class_logits=predictions.class_logits + 3.0 * ignored[..., None],
        semantic_logits=predictions.semantic_logits.clone(),
    )
    changed.semantic_logits[0, :, :2, 1:] = 9.0  # the upper half, but for the cell of the instance
    for batch, same in (([image, plain], True), ([plain, plain], False)):
        before, after = losses(predictions, batch), losses(changed, batch)
        for name in ("class", "semantic"):
            assert torch.equal(before[name], after[name]) == same, name
    for position in ignored.nonzero()[:, 1].tolist():
        alone = replace(predictions, class_logits=predictions.class_logits.clone())
        alone.class_logits[0, position] = -40.0
        assert losses(alone, [image, plain])["class"] == losses(predictions, [image, plain])["class"]


def test_the_loss_of_a_region_is_what_it_would_be_if_the_network_were_sure_of_background_there() -> None:
    image, plain = image_with([[0, 0, 16, 16]], (slice(0, 4), slice(0, 8))), image_with([[0, 0, 16, 16]], None)
    predictions = predictions_of(1)
    sure = replace(predictions, class_logits=predictions.class_logits.clone())
    sure.class_logits[assign(predictions, [image], SETTINGS).ignored] = -100.0  # focal loss 0
    with_region, without = losses(predictions, [image]), losses(sure, [plain])
    assert with_region["class"].item() == pytest.approx(without["class"].item(), rel=1e-6)
    assert with_region["class"] < losses(predictions, [plain])["class"]


def test_a_region_takes_edges_and_nothing_else_of_the_targets() -> None:
    boxes = [[0.0, 0.0, 31.0, 31.0]]
    loss = LossConfig(neighborhood_dilation=1, mask_pairwise=1.0)
    image = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)
    found = []
    for region in (None, (slice(0, 4), slice(0, 8))):
        batch = Batch(image, [image_with(boxes, region)], [(SIDE, SIDE)], [0], [(SIDE, SIDE)], [0])
        found.append(build_mask_targets(batch, loss))
    plain, ignoring = found
    # A grid of 8 x 8 has 2 * 56 + 2 * 49 pairs, its lower half of 4 x 8 has 28 + 24 + 2 * 21; each counts twice.
    assert plain.similar_edges.counted.tolist() == [420]
    assert ignoring.similar_edges.counted.tolist() == [188]
    assert ignoring.similar_edges.first.min() >= 32  # the first pixel of the lower half
    assert ignoring.similar_edges.second.min() >= 32
    assert ignoring.similar_edges.possible == plain.similar_edges.possible == 8 * 64
    assert torch.equal(ignoring.box_masks, plain.box_masks)
    assert torch.equal(ignoring.labeled_edges.counted, plain.labeled_edges.counted)
    assert plain.semantic_ignored is None
    assert ignoring.semantic_ignored[0].any(1).tolist() == [True, True, False, False]
