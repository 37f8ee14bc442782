"""The pairwise loss under full supervision: edges of both kinds, same label and different label (equation 5)."""

import math
from itertools import product

import pytest
import torch

from core.neighborhood import Neighborhood
from core.targets.edges import labeled_edges, supervised_edges
from tests.core.losses.test_pairwise import mean_loss

CLOSE = Neighborhood(size=3, dilation=1)


def test_a_4x4_mask_costs_the_hand_worked_value() -> None:
    # The box is the inner 2x2 square, the mask its left column; the network says 0.9 on the mask and 0.2 elsewhere.
    box = torch.zeros(1, 4, 4, dtype=torch.bool)
    box[0, 1:3, 1:3] = True
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 1:3, 1] = True
    probabilities = torch.full((1, 4, 4), 0.2, dtype=torch.float64).masked_fill(mask, 0.9)
    edges = labeled_edges(mask, box, CLOSE)
    # Each of the 4 box pixels has 8 edges, all on the grid: 32 counted.
    assert edges.counted.tolist() == [32]
    # A mask pixel sees the other one (same, both on the mask) and 7 pixels off it (different): 2 * 1 and 2 * 7.
    # A box pixel off the mask sees the 2 mask pixels (different) and 6 others off it (same): 2 * 2 and 2 * 6.
    same_on = 0.9 * 0.9 + 0.1 * 0.1  # 0.82
    same_off = 0.2 * 0.2 + 0.8 * 0.8  # 0.68
    different = 0.9 * 0.8 + 0.1 * 0.2  # 0.74
    expected = -(2 * math.log(same_on) + 12 * math.log(same_off) + 18 * math.log(different)) / 32
    loss = mean_loss(torch.logit(probabilities), edges, torch.tensor([0]))
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def dense_labeled_loss(logits: torch.Tensor, masks: torch.Tensor, boxes: torch.Tensor, near: Neighborhood) -> float:
    """Equation 5 by a loop over pixels and neighbors."""
    total, count = 0.0, 0
    for p, mask, box in zip(logits.sigmoid(), masks, boxes, strict=True):
        h, w = mask.shape
        for y, x, (dy, dx) in product(range(h), range(w), near.offsets):
            if box[y, x] and 0 <= y + dy < h and 0 <= x + dx < w:
                same = p[y, x] * p[y + dy, x + dx] + (1 - p[y, x]) * (1 - p[y + dy, x + dx])
                total -= torch.log(same if mask[y, x] == mask[y + dy, x + dx] else 1 - same).item()
                count += 1
    return total / count


@pytest.mark.parametrize("near", [CLOSE, Neighborhood(3, 2), Neighborhood(5, 1)], ids=str)
def test_the_loss_is_that_of_a_plain_loop_and_its_gradient_the_numerical_one(near: Neighborhood) -> None:
    generator = torch.Generator().manual_seed(0)
    boxes = torch.zeros(3, 7, 9, dtype=torch.bool)
    boxes[0, 0:4, 5:9] = boxes[1, 2:7, 1:4] = boxes[2, 3, 3] = True
    masks = boxes & (torch.rand(3, 7, 9, generator=generator) < 0.6)
    logits = 3 * torch.randn(3, 7, 9, generator=generator, dtype=torch.float64)
    index = torch.tensor([2, 0, 1])
    edges = labeled_edges(masks, boxes, near)
    loss = mean_loss(logits, edges, index)
    assert loss.item() == pytest.approx(dense_labeled_loss(logits, masks[index], boxes[index], near), rel=1e-9)
    logits.requires_grad_()
    torch.autograd.gradcheck(lambda x: mean_loss(x, edges, index), logits, fast_mode=True)


def test_the_true_mask_costs_nothing_and_its_opposite_neither() -> None:
    # Only who agrees with whom is asked: the projection term says which side is the object.
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[0, 1:4, 2:5] = True
    edges = labeled_edges(mask, torch.ones_like(mask), CLOSE)
    logits = torch.where(mask, 100.0, -100.0)
    for turned in (logits, -logits):
        assert mean_loss(turned, edges, torch.tensor([0])).item() == 0
    assert mean_loss(torch.full((1, 6, 6), 100.0), edges, torch.tensor([0])).item() > 1


def test_a_mask_of_one_label_everywhere_is_the_loss_of_similar_edges() -> None:
    boxes = torch.ones(1, 5, 4, dtype=torch.bool)
    logits = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(1))
    everything = torch.ones(1, 8, 5, 4, dtype=torch.bool)
    similar = supervised_edges(boxes, everything, torch.tensor([0]), CLOSE)
    labeled = labeled_edges(boxes, boxes, CLOSE)
    index = torch.tensor([0])
    assert mean_loss(logits, labeled, index).item() == mean_loss(logits, similar, index).item()


def test_no_instances_give_no_edges() -> None:
    nothing = torch.zeros(0, 5, 4, dtype=torch.bool)
    edges = labeled_edges(nothing, nothing, CLOSE)
    assert len(edges.first) == len(edges.same) == 0
    logits = torch.zeros(0, 5, 4, requires_grad=True)
    mean_loss(logits, edges, torch.zeros(0, dtype=torch.int64)).backward()
    assert logits.grad.shape == (0, 5, 4)
