"""Mask R-CNN's losses: its own terms, and ours on its masks pasted into the mask grid."""

import pytest
import torch

from core.config import LossConfig
from core.geometry import paste_on_grid
from core.losses.criterion import BACKGROUND_LOGIT, Losses, region_criterion
from core.losses.dice import dice_distance
from core.losses.projection import projection_distance
from core.structures import MaskTargets, RegionMasks
from tests.core.losses.dense_pairwise import dense_pairwise_loss
from tests.core.losses.small_batch import NEIGHBORHOOD, OfTwo, random_edges, targets_of

OWN = {"class": torch.tensor(2.0), "mask": torch.tensor(3.0)}
WEIGHTS = {"dice": 1.0, "projection": 1.0, "pairwise": 1.0, "pairwise_warmup": 0.0}


def masks_of(target_index: list[int]) -> RegionMasks:
    """Random masks on 4 x 4 cells of random regions of a grid of 6 x 7 cells, 24 x 28 px."""
    count = len(target_index)
    generator = torch.Generator().manual_seed(count)
    corner = 12 * torch.rand(count, 2, generator=generator) - 2
    sides = 4 + 12 * torch.rand(count, 2, generator=generator)
    logits = torch.randn(count, 4, 4, generator=generator, requires_grad=True)
    return RegionMasks(logits, torch.cat([corner, corner + sides], dim=1), torch.tensor(target_index).long())


def score(masks: RegionMasks, targets: MaskTargets, *, step: int = 0, steps: int = 10, **changes: float) -> Losses:
    return region_criterion(OWN, masks, targets, LossConfig(**WEIGHTS | changes), step=step, steps=steps)


def pasted(masks: RegionMasks) -> torch.Tensor:
    return paste_on_grid(masks.logits, masks.boxes, 6, 7, outside=BACKGROUND_LOGIT)


def test_regions_of_boxes_are_scored_by_projection_and_pairwise_in_value_and_gradient() -> None:
    targets, masks = targets_of([False, False]), masks_of([1, 0, 1])
    losses = score(masks, targets)
    in_boxes, edges = targets.box_masks[masks.target_index], random_edges()[masks.target_index % 2]
    expected = {
        "projection": projection_distance(pasted(masks), targets.box_masks, masks.target_index).mean(),
        "pairwise": dense_pairwise_loss(pasted(masks), in_boxes, edges, NEIGHBORHOOD),
    }
    for name, term in expected.items():
        torch.testing.assert_close(losses.unweighted[name], term)
        (gradient,) = torch.autograd.grad(losses.unweighted[name], masks.logits, retain_graph=True)
        (plain,) = torch.autograd.grad(term, masks.logits, retain_graph=True)
        torch.testing.assert_close(gradient, plain)
        assert gradient.any()


def test_the_network_s_own_mask_term_has_the_weight_of_dice() -> None:
    targets, masks = targets_of([True]), masks_of([0, 0])
    losses = score(masks, targets, dice=0.5, projection=0.0, pairwise=0.0)
    assert {name: term.item() for name, term in losses.unweighted.items()} == {"class": 2, "mask": 3}
    assert {name: term.item() for name, term in losses.weighted.items()} == {"class": 2, "mask": 1.5}
    assert list(score(masks, targets, dice=0.0).unweighted) == ["class", "projection", "pairwise"]


def test_regions_with_masks_are_not_scored_as_boxes_and_each_region_weighs_the_same() -> None:
    targets, masks = targets_of([True, False]), masks_of([0, 1, 1, 0])
    losses = score(masks, targets, mask_projection=2.0, box_mask=1.0)
    boxed, masked = torch.tensor([1, 2]), torch.tensor([0, 3])
    ones, zeros = torch.ones(2).long(), torch.zeros(2).long()
    logits = pasted(masks)
    expected = {
        "mask_projection": projection_distance(logits[masked], targets.masks, zeros).sum() / 4,
        "projection": projection_distance(logits[boxed], targets.box_masks, ones).sum() / 4,
        "box_mask": dice_distance(logits[boxed].sigmoid(), targets.box_masks[ones]).sum() / 4,
    }
    for name, term in expected.items():
        torch.testing.assert_close(losses.unweighted[name], term)
    assert losses.weighted["mask_projection"] == 2 * losses.unweighted["mask_projection"]


def test_the_warm_up_is_that_of_the_step_and_1_without_a_term_that_has_one() -> None:
    targets, masks = targets_of([False]), masks_of([0])
    losses = score(masks, targets, step=1, steps=10, pairwise_warmup=0.4)
    assert losses.pairwise_warmup == 0.5
    assert losses.weighted["pairwise"] == 0.5 * losses.unweighted["pairwise"]
    assert score(masks, targets, step=1, steps=10, pairwise=0.0, pairwise_warmup=0.4).pairwise_warmup == 1


def test_a_mask_that_fills_its_box_is_the_worse_the_more_its_region_sees() -> None:
    # A box of 2 x 2 cells, exactly covered or with a rim of one cell: only the rim tells object from background.
    targets = targets_of([False])
    targets.box_masks[0] = False
    targets.box_masks[0, 2:4, 2:4] = True
    everything, index = torch.full((1, 4, 4), 9.0), torch.tensor([0])
    exact, rim = torch.tensor([[8.0, 8, 16, 16]]), torch.tensor([[4.0, 4, 20, 20]])
    terms = [
        score(RegionMasks(everything, box, index), targets, pairwise=0.0).unweighted["projection"]
        for box in (exact, rim)
    ]
    assert terms[0] < 0.01
    assert terms[1].item() == pytest.approx(2 * (1 - 2 * 2 / (4 + 2)), abs=0.01)  # profiles of 4 cells for 2


@pytest.mark.parametrize("has_mask", [[], [False, True]], ids=["no annotations", "no regions"])
def test_without_regions_the_terms_are_zero_and_carry_a_gradient(has_mask: list[bool]) -> None:
    masks = masks_of([])
    losses = score(masks, targets_of(has_mask), box_mask=1.0, mask_projection=1.0)
    assert [name for name, term in losses.unweighted.items() if term != 0] == ["class", "mask"]
    losses.total.backward()
    assert masks.logits.grad.shape == (0, 4, 4)


@pytest.mark.parametrize(("normalizer", "ratio"), [("all_workers", 0.5), ("each_worker", 1.0)])
def test_terms_are_divided_by_the_counts_of_all_workers_or_of_each(normalizer: str, ratio: float) -> None:
    targets, masks = targets_of([False, False]), masks_of([0, 1, 0])
    loss = LossConfig(**WEIGHTS, mask_normalizer=normalizer)
    alone, of_two = (
        region_criterion(OWN, masks, targets, loss, step=0, steps=1, **workers).unweighted
        for workers in ({}, {"workers": OfTwo()})
    )
    for name, expected in (("class", 1), ("mask", 1), ("projection", ratio), ("pairwise", ratio)):
        assert (of_two[name] / alone[name]).item() == pytest.approx(expected), name
