"""Which mask terms score which locations, and with which weight: boxes, masks and both in a batch."""

import math
from dataclasses import replace

import pytest
import torch

from core.config.loss import MASK_TERMS
from core.losses.criterion import LOSS_OF
from core.losses.dice import dice_distance
from core.losses.projection import projection_distance
from tests.core.losses.dense_pairwise import dense_pairwise_loss
from tests.core.losses.small_batch import NEIGHBORHOOD, logits_of, random_edges, score, targets_of
from tests.core.losses.test_pairwise import mean_loss


def test_every_term_with_a_weight_has_a_function_and_a_target() -> None:
    assert LOSS_OF.keys() == MASK_TERMS.keys()
    assert all(getattr(targets_of([True]), term.target) is not None for term in MASK_TERMS.values())


def test_a_term_of_weight_zero_is_not_computed() -> None:
    targets = targets_of([False, True])
    for name in ("dice", "projection", "pairwise", "box_mask"):
        without = score(logits_of(2), targets, [0, 1], **{name: 0.0})
        assert name not in without.unweighted
        assert len(without.weighted) == 6
    no_edges = replace(targets, similar_edges=None)
    assert math.isnan(score(logits_of(2), no_edges, [0, 1], pairwise=0.0).edges_kept)


def test_locations_with_masks_are_scored_by_dice_alone() -> None:
    targets, logits = targets_of([True, True]), logits_of(3)
    losses = score(logits, targets, [1, 0, 1])
    expected = dice_distance(logits.sigmoid(), targets.masks[[1, 0, 1]]).mean()
    assert losses.unweighted["dice"].item() == pytest.approx(expected.item())
    assert [losses.unweighted[name].item() for name in ("projection", "pairwise", "box_mask")] == [0, 0, 0]


def test_the_redesigned_loss_scores_locations_with_masks_by_projection_and_labeled_edges() -> None:
    targets, logits = targets_of([False, True]), logits_of(4)
    target_index = [1, 0, 1, 0]
    changes = {"dice": 0.0, "mask_projection": 1.0, "mask_pairwise": 1.0, "pairwise_warmup": 1.0}
    losses = score(logits, targets, target_index, step=0, steps=10, **changes)
    masked, ones = logits[[0, 2]], torch.tensor([1, 1])
    projection = projection_distance(masked, targets.masks, ones).sum() / 4
    pairwise = mean_loss(masked, targets.labeled_edges, ones) * 2 / 4
    assert losses.unweighted["mask_projection"].item() == pytest.approx(projection.item())
    assert losses.weighted["mask_pairwise"].item() == pytest.approx(pairwise.item())  # true labels need no warm-up
    assert "dice" not in losses.unweighted


def test_in_a_mixed_batch_every_location_weighs_the_same() -> None:
    targets, logits = targets_of([False, True, False]), logits_of(5)
    target_index = [2, 1, 0, 1, 2]
    boxed = torch.tensor([0, 2, 4])
    answers_for = torch.tensor(target_index)
    losses = score(logits, targets, target_index)
    terms = {name: term.item() for name, term in losses.unweighted.items()}
    assert terms["dice"] == pytest.approx(
        dice_distance(logits[[1, 3]].sigmoid(), targets.masks[[1, 1]]).sum().item() / 5
    )
    projection = projection_distance(logits[boxed], targets.box_masks, answers_for[boxed])
    assert terms["projection"] == pytest.approx(projection.sum().item() / 5)
    box_mask = dice_distance(logits[boxed].sigmoid(), targets.box_masks[answers_for[boxed]])
    assert terms["box_mask"] == pytest.approx(box_mask.sum().item() / 5)
    pairwise = dense_pairwise_loss(
        logits[boxed],
        targets.box_masks[answers_for[boxed]],
        random_edges()[answers_for[boxed] % 2],
        NEIGHBORHOOD,
    )
    assert terms["pairwise"] == pytest.approx(pairwise.item() * 3 / 5)


def test_the_order_of_the_locations_does_not_matter() -> None:
    targets, logits = targets_of([False, True, False]), logits_of(4)
    straight = score(logits, targets, [0, 1, 2, 2])
    turned = score(logits.flip(0), targets, [2, 2, 1, 0])
    for name, term in straight.unweighted.items():
        assert turned.unweighted[name].item() == pytest.approx(term.item(), rel=1e-5)


def test_the_share_of_edges_kept_is_counted_among_the_box_pixels() -> None:
    none, every = (targets_of([False], torch.full((2, 8, 6, 7), kept)) for kept in (False, True))
    assert score(logits_of(1), none, [0]).edges_kept == 0
    # The box is rows 0..2, columns 1..3 of the grid: its 3 pixels in row 0 have 3 edges each off the grid.
    assert score(logits_of(1), every, [0]).edges_kept == pytest.approx(1 - 9 / 72)


def test_boxes_that_vanish_at_the_mask_grid_give_finite_losses() -> None:
    logits = logits_of(2)
    losses = score(logits, targets_of([False, False], boxes_vanish=True), [0, 1])
    assert losses.unweighted["projection"].item() == pytest.approx(2)
    assert losses.unweighted["pairwise"].item() == 0
    losses.total.backward()
    assert not logits.grad.any()
