"""What the criterion averages over, the warm-up, the semantic term, and batches without positives."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from core.compute.workers import ALONE
from core.config import LossConfig
from core.config.loss import MASK_TERMS
from core.losses.criterion import Losses, Outputs, Targets, criterion, pairwise_warmup
from core.structures import BACKGROUND
from tests.core.losses.small_batch import (
    OfTwo,
    assignment_of,
    logits_of,
    predictions_of,
    score,
    selection_of,
    targets_of,
)


def test_the_warm_up_rises_from_the_first_step_to_the_last() -> None:
    assert [pairwise_warmup(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert pairwise_warmup(0, 0) == 1


def test_the_warm_up_takes_its_share_of_the_schedule() -> None:
    factors = [
        score(logits_of(1), targets_of([False]), [0], step=step, steps=8, pairwise_warmup=0.5).pairwise_warmup
        for step in (0, 2, 3, 4, 7)
    ]
    assert factors == [0.25, 0.75, 1, 1, 1]  # four steps of eight
    losses = score(logits_of(1), targets_of([False]), [0], step=27, steps=100, pairwise_warmup=0.29)
    assert losses.pairwise_warmup == 28 / 29  # 0.29 * 100 is a little less than 29


def test_the_warm_up_weighs_the_pairwise_term_only() -> None:
    targets = targets_of([False, False])
    losses = score(logits_of(2), targets, [0, 1], step=1, steps=10, pairwise_warmup=0.8, pairwise=3.0)
    assert losses.pairwise_warmup == 0.25
    ratios = {name: (losses.weighted[name] / term).item() for name, term in losses.unweighted.items() if term != 0}
    expected = {"class": 1, "box": 1, "centerness": 1, "projection": 1, "pairwise": 0.75, "box_mask": 1}
    assert ratios == pytest.approx(expected)
    assert losses.total.item() == pytest.approx(sum(term.item() for term in losses.weighted.values()), rel=1e-6)


def test_detection_terms_are_averaged_over_positives_and_over_centerness() -> None:
    predictions = predictions_of(2)
    losses = score(logits_of(1), targets_of([False]), [0])
    # All targets have centerness 1: the box term is the mean over the three positives.
    assert losses.unweighted["centerness"].item() == pytest.approx(
        functional.softplus(-predictions.centerness_logits[0, :3]).mean().item(), rel=1e-5
    )
    assert 0 < losses.unweighted["box"].item() < 2


@pytest.mark.parametrize(("left", "expected"), [(1 / 16, 0.375), (1e-16, 0.4 * 1e-8 / 1e-6)])
def test_the_box_loss_is_averaged_over_little_centerness_too_but_over_no_less_than_a_millionth(
    left: float, expected: float
) -> None:
    # One positive at ltrb (left, 1, 1, 1): centerness sqrt(left), 1/4 or 1e-8, is all there is to divide by.
    assignment = assignment_of(2, 1)
    assignment.ltrb[0, 0, 0] = left
    # The network says (1, 1, 1, 1), around the target: I = 2 + 2 left, U = hull = 4, so 1 - GIoU = (2 - 2 left) / 5.
    predictions = replace(predictions_of(2), ltrb=torch.ones(2, 6, 4))
    outputs = Outputs(predictions, selection_of([]), logits_of(0))
    losses = criterion(outputs, Targets(assignment, targets_of([False])), LossConfig(), step=0, steps=10)
    assert losses.unweighted["box"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("normalizer", "of_masks"), [("all_workers", 0.5), ("each_worker", 1.0)])
def test_mask_terms_are_divided_by_the_counts_of_all_workers_or_of_each(normalizer: str, of_masks: float) -> None:
    targets = replace(targets_of([False, True]), semantic_labels=[torch.tensor([[0, 1]]), None])
    predictions = replace(predictions_of(2), semantic_logits=torch.zeros(2, 2, 1, 2))
    scored = (predictions, selection_of([0, 1, 0]), logits_of(3))
    loss = LossConfig(**dict.fromkeys(MASK_TERMS, 1.0), mask_normalizer=normalizer)
    alone, of_two = (
        criterion(Outputs(*scored), Targets(assignment_of(2, 3), targets), loss, step=0, steps=1, workers=workers)
        for workers in (ALONE, OfTwo())
    )
    ratios = {name: (of_two.unweighted[name] / term).item() for name, term in alone.unweighted.items()}
    detection = dict.fromkeys(("class", "box", "centerness"), 0.5)
    assert ratios == pytest.approx(detection | dict.fromkeys([*MASK_TERMS, "semantic"], of_masks))


@pytest.mark.parametrize("has_mask", [[], [False, True]], ids=["no annotations", "no positives"])
def test_without_positives_all_terms_but_class_are_zero_and_carry_a_gradient(has_mask: list[bool]) -> None:
    predictions, logits = predictions_of(2), logits_of(0)
    losses = score(logits, targets_of(has_mask), [], num_positives=0, predictions=predictions, pairwise_warmup=1.0)
    assert [name for name, term in losses.unweighted.items() if term != 0] == ["class"]
    losses.total.backward()
    assert not predictions.ltrb.grad.any()
    assert not predictions.centerness_logits.grad.any()
    assert logits.grad.shape == (0, 6, 7)


def test_bfloat16_predictions_are_scored_in_float32() -> None:
    logits = logits_of(2).detach().bfloat16().requires_grad_()
    losses = score(logits, targets_of([False, True]), [0, 1])
    assert {term.dtype for term in losses.weighted.values()} == {torch.float32}
    losses.total.backward()
    assert logits.grad.dtype == torch.bfloat16


def test_semantic_term_is_there_where_the_network_has_the_head() -> None:
    targets = replace(targets_of([False]), semantic_labels=[torch.tensor([[0, BACKGROUND]]), None])
    logits = torch.zeros(2, 2, 1, 2, requires_grad=True)

    def terms(semantic_logits: torch.Tensor | None, weight: float) -> Losses:
        predictions = replace(predictions_of(2), semantic_logits=semantic_logits)
        return score(logits_of(1), targets, [0], predictions=predictions, semantic=weight)

    losses = terms(logits, 2.0)
    # One image is labeled: of its four (cell, class) pairs at probability 1/2 one is true; one cell shows an instance.
    expected = (0.25 + 3 * 0.75) * 0.25 * math.log(2)
    assert losses.unweighted["semantic"].item() == pytest.approx(expected)
    assert losses.weighted["semantic"].item() == pytest.approx(2 * expected)
    losses.total.backward()
    assert logits.grad[0].all()
    assert not logits.grad[1].any()
    assert "semantic" not in terms(logits, 0.0).unweighted
    assert "semantic" not in terms(None, 2.0).unweighted


def test_the_semantic_sum_is_averaged_over_the_cells_of_instances_but_over_no_less_than_one() -> None:
    # Six (cell, class) pairs at probability 1/2: focal (1/2)^2 ln 2, alpha 1/4 where true, 3/4 elsewhere.
    for labels, expected in (
        ([0, 1, BACKGROUND], (2 * 0.25 + 4 * 0.75) * 0.25 * math.log(2) / 2),
        ([BACKGROUND] * 3, 6 * 0.75 * 0.25 * math.log(2)),
    ):
        targets = replace(targets_of([False]), semantic_labels=[torch.tensor([labels]), None])
        predictions = replace(predictions_of(2), semantic_logits=torch.zeros(2, 2, 1, 3))
        losses = score(logits_of(1), targets, [0], predictions=predictions)
        assert losses.unweighted["semantic"].item() == pytest.approx(expected)
