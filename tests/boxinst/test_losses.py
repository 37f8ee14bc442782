"""The public losses: what the criterion computes from the same logits, boxes and images, on other grids too."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from boxinst import Edges, Neighborhood, pairwise_loss, projection_loss, supervised_edges
from core.config import LossConfig
from core.losses.criterion import Outputs, Targets, criterion
from core.structures import Annotations, Assignment, Batch, Predictions, Selection
from core.targets.mask_targets import build_mask_targets

HEIGHT, WIDTH = 64, 96
BOXES = torch.tensor([[8.0, 4.0, 60.0, 50.0], [30.0, 10.0, 90.0, 60.0], [2.0, 2.0, 33.0, 61.0]])
IMAGE_INDEX = torch.tensor([0, 0, 1])
SIZES = [(HEIGHT, WIDTH), (48, 80)]


def two_images() -> Tensor:
    """Two images with soft color gradients, so that some edges pass the threshold; the second is padded."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 5, 7, generator=generator) * 60 + 90
    images = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear").to(torch.uint8)
    images[1, :, SIZES[1][0] :] = 0
    images[1, :, :, SIZES[1][1] :] = 0
    return images


def logits_for(count: int, stride: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, HEIGHT // stride, WIDTH // stride, generator=generator).requires_grad_()


def criterion_terms(mask_logits: Tensor, target_index: Tensor) -> dict[str, Tensor]:
    """The mask terms that a training step computes for box-only annotations."""
    annotations = []
    for image in range(2):
        boxes = BOXES[image == IMAGE_INDEX]
        count = len(boxes)
        annotations.append(
            Annotations(
                boxes=boxes,
                labels=torch.zeros(count, dtype=torch.int64),
                has_mask=torch.zeros(count, dtype=torch.bool),
                masks=torch.zeros(count, HEIGHT // 4, WIDTH // 4, dtype=torch.bool),
                mask_centroids=(boxes[:, :2] + boxes[:, 2:]) / 2,
            )
        )
    batch = Batch(two_images(), annotations, SIZES, [0, 1], SIZES, [0, 0])
    nothing = torch.full((2, 4), -1)
    predictions = Predictions(
        class_logits=torch.zeros(2, 4, 1),
        ltrb=torch.zeros(2, 4, 4),
        centerness_logits=torch.zeros(2, 4),
        locations=torch.zeros(4, 2),
        level_index=torch.zeros(4, dtype=torch.int64),
        strides=torch.full((4,), 8),
        box_tower=[],
        mask_features=torch.zeros(2, 1, HEIGHT // 8, WIDTH // 8),
    )
    selection = Selection(IMAGE_INDEX[target_index], torch.zeros_like(target_index), target_index)
    targets = Targets(Assignment(nothing, nothing, torch.zeros(2, 4, 4)), build_mask_targets(batch, LossConfig()))
    return criterion(Outputs(predictions, selection, mask_logits), targets, LossConfig(), step=0, steps=1).unweighted


@pytest.mark.parametrize("target_index", [[0, 1, 2], [2, 0, 0, 1, 2]], ids=["one mask each", "several masks each"])
def test_the_losses_and_their_gradients_are_those_of_a_training_step(target_index: list[int]) -> None:
    index = torch.tensor(target_index)
    mask_logits = logits_for(len(index))
    edges = supervised_edges(two_images(), BOXES, IMAGE_INDEX, image_sizes=SIZES)
    ours = {
        "projection": projection_loss(mask_logits, BOXES[index]),
        "pairwise": pairwise_loss(mask_logits, edges, index),
    }
    theirs = criterion_terms(mask_logits, index)
    for name, loss in ours.items():
        assert loss.item() > 0.1
        torch.testing.assert_close(loss, theirs[name], rtol=1e-6, atol=0)
        gradients = [torch.autograd.grad(value, mask_logits, retain_graph=True)[0] for value in (loss, theirs[name])]
        torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-9)


def test_floats_in_0_to_1_are_the_same_images() -> None:
    expected = supervised_edges(two_images(), BOXES, IMAGE_INDEX)
    for images in (two_images().float() / 255, two_images().double() / 255):
        found = supervised_edges(images, BOXES, IMAGE_INDEX)
        assert torch.equal(found.listed.first, expected.listed.first)
        assert torch.equal(found.listed.counted, expected.listed.counted)


def test_a_box_and_its_mask_by_hand() -> None:
    # Two cells side by side, of 2 x 2 pixels and equal color; the box holds the center pixel of the first, (1, 1), and
    # the logits are ln 3 (p = 3/4) and 0 (q = 1/2).
    images = torch.full((1, 3, 2, 4), 100, dtype=torch.uint8)
    boxes, mask_logits = torch.tensor([[0.0, 0.0, 1.5, 1.5]]), torch.tensor([[[math.log(3), 0.0]]])
    edges = supervised_edges(images, boxes, torch.tensor([0]), stride=2, neighborhood=Neighborhood(size=3, dilation=1))
    # P(same) = pq + (1 - p)(1 - q) = 1/2.
    assert pairwise_loss(mask_logits, edges).item() == pytest.approx(math.log(2))
    # Dice of the profiles: (3/4, 1/2) with (1, 0) on x, 3/4 with 1 on y.
    on_x = 1 - 2 * 0.75 / (0.75**2 + 0.5**2 + 1)
    on_y = 1 - 2 * 0.75 / (0.75**2 + 1)
    assert projection_loss(mask_logits, boxes, stride=2).item() == pytest.approx(
        on_x + on_y, abs=2e-5
    )  # the 1e-5 in its denominators


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_another_stride_is_another_grid_on_the_same_image(stride: int) -> None:
    # A mask of the box itself costs next to nothing on any grid that its sides fall on.
    boxes = torch.tensor([[16.0, 8.0, 47.9, 55.9]])
    mask_logits = torch.full((1, HEIGHT // stride, WIDTH // stride), -12.0)
    mask_logits[:, 8 // stride : 56 // stride, 16 // stride : 48 // stride] = 12.0
    assert projection_loss(mask_logits, boxes, stride=stride).item() < 1e-3
    assert projection_loss(mask_logits, boxes + 16, stride=stride).item() > 0.2
    flat = torch.full((1, 3, HEIGHT, WIDTH), 7, dtype=torch.uint8)
    edges = supervised_edges(flat, boxes, torch.tensor([0]), stride=stride)
    assert edges.size == (HEIGHT // stride, WIDTH // stride)
    assert pairwise_loss(torch.zeros_like(mask_logits), edges).item() == pytest.approx(math.log(2))


def test_without_boxes_or_edges_the_loss_is_zero_and_has_a_gradient() -> None:
    nothing, one = logits_for(0), logits_for(1)
    edges = supervised_edges(two_images(), BOXES[:0], IMAGE_INDEX[:0])
    none = projection_loss(nothing, BOXES[:0]) + pairwise_loss(nothing, edges)
    outside = pairwise_loss(one, supervised_edges(two_images(), BOXES[:1] + 1000, IMAGE_INDEX[:1]))
    (none + outside).backward()
    assert none.item() == outside.item() == 0
    assert nothing.grad.shape == nothing.shape
    assert not one.grad.any()


def test_half_precision_logits_are_scored_in_float32() -> None:
    edges = supervised_edges(two_images(), BOXES, IMAGE_INDEX)
    half = logits_for(3).detach().half()
    for loss in (projection_loss(half, BOXES), pairwise_loss(half, edges)):
        assert loss.dtype == torch.float32


def edges_of(**changes: Any) -> Edges:
    return supervised_edges(**{"images": two_images(), "boxes": BOXES, "image_index": IMAGE_INDEX} | changes)


NORMALIZED = torch.linspace(-2.1, 2.6, 2 * 3 * HEIGHT * WIDTH).reshape(2, 3, HEIGHT, WIDTH)
WRONG = {
    "images are torch.int64, expected uint8": lambda: edges_of(images=two_images().long()),
    "values from .* to 148, expected floats in 0..1": lambda: edges_of(images=two_images().float()),
    "values from -2.1 to 2.6, .* before normalization": lambda: edges_of(images=NORMALIZED),
    "images are 64 x 96 pixels, expected multiples of the stride, 5": lambda: edges_of(stride=5),
    "stride is 0, expected at least 1": lambda: projection_loss(logits_for(3), BOXES, stride=0),
    "image_sizes has 1 entries, expected one for each of 2 images": lambda: edges_of(image_sizes=SIZES[:1]),
    "image_index is 0 to 2, expected 0 to 1": lambda: edges_of(image_index=torch.tensor([0, 1, 2])),
    "have .8, 12. cells, expected .16, 24.": lambda: pairwise_loss(logits_for(3, stride=8), edges_of()),
    "2 masks and the edges of 3 boxes": lambda: pairwise_loss(logits_for(2), edges_of()),
}


@pytest.mark.parametrize(("message", "call"), WRONG.items())
def test_wrong_input_is_named(message: str, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=message):
        call()
