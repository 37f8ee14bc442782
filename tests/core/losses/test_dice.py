import pytest
import torch

from core.losses.dice import dice_distance, dice_loss, weighted_dice_loss
from core.structures import WeightedMasks


def test_dice_of_a_hand_worked_mask() -> None:
    probabilities = torch.tensor([[[1.0, 0.5], [0.0, 0.5]]])
    targets = torch.tensor([[[True, True], [False, False]]])
    # overlap 1 + 0.5; squares 1 + 0.25 + 0.25 and 2: 1 - 2 * 1.5 / 3.5
    assert dice_distance(probabilities, targets).item() == pytest.approx(1 - 3 / 3.5, abs=1e-5)


def test_the_loss_is_the_sum_over_locations_each_with_the_target_it_answers_for() -> None:
    # A mask of nothing but 1/2 on the 2 left ones of 4 cells: 1 - 2 * 1 / (1 + 2) = 1/3; on all 4: 1 - 2 * 2 / 5 = 1/5.
    targets = torch.tensor([[[True, False], [True, False]], [[True, True], [True, True]]])
    total, count = dice_loss(torch.zeros(3, 2, 2), targets, torch.tensor([1, 0, 1]))
    assert total.item() == pytest.approx(1 / 5 + 1 / 3 + 1 / 5, abs=1e-5)
    assert count == 3


def test_a_perfect_mask_costs_nothing_and_a_disjoint_one_costs_one() -> None:
    targets = torch.tensor([[[True, False, False]], [[False, False, True]]])
    probabilities = torch.tensor([[[1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]]])
    assert dice_distance(probabilities, targets).tolist() == pytest.approx([0, 1], abs=1e-5)


def test_an_empty_target_costs_one_without_gradient() -> None:
    probabilities = torch.rand(2, 3, 4, requires_grad=True)
    loss = dice_distance(probabilities, torch.zeros(2, 3, 4, dtype=torch.bool))
    loss.sum().backward()
    assert loss.tolist() == [1, 1]
    assert not probabilities.grad.any()


def test_masks_of_a_teacher_count_as_far_as_they_are_trusted() -> None:
    # Costs 1/3 and 1/5 as above; the count is that of the locations. Weight 0 costs nothing and gives no gradient.
    masks = torch.tensor([[[True, False], [True, False]], [[True, True], [True, True]], [[False] * 2] * 2])
    logits = torch.zeros(3, 2, 2, requires_grad=True)
    trusted = WeightedMasks(masks, torch.tensor([0.6, 0.5, 0.0]))
    total, count = weighted_dice_loss(logits, trusted, torch.tensor([1, 0, 2]))
    total.backward()
    assert total.item() == pytest.approx(0.5 / 5 + 0.6 / 3, abs=1e-5)
    assert count == 3
    assert logits.grad.flatten(1).any(1).tolist() == [True, True, False]


def test_no_instances_give_no_losses_but_a_gradient() -> None:
    probabilities = torch.rand(0, 3, 4, requires_grad=True)
    dice_distance(probabilities, torch.zeros(0, 3, 4, dtype=torch.bool)).sum().backward()
    assert probabilities.grad.shape == (0, 3, 4)
    total, count = dice_loss(probabilities, torch.zeros(2, 3, 4, dtype=torch.bool), torch.zeros(0, dtype=torch.int64))
    assert (total.item(), count) == (0, 0)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_dice_equals_golden_values_and_gradients(golden, precision: str) -> None:
    values = golden("h_dice")
    suffix, tolerance = ("", 1e-6) if precision == "float32" else ("_f64", 1e-12)
    logits = torch.from_numpy(values["logits"]).squeeze(1).to(getattr(torch, precision)).requires_grad_()
    masks = torch.from_numpy(values["gt_bitmasks"]).squeeze(1).bool()
    per_instance = dice_distance(logits.detach().sigmoid(), masks)
    total, count = dice_loss(logits, masks, torch.arange(len(logits)))
    loss = total / count
    loss.backward()
    expected = torch.from_numpy(values[f"per_inst{suffix}"])
    torch.testing.assert_close(per_instance, expected, atol=tolerance, rtol=0)
    assert loss.item() == pytest.approx(values[f"loss{suffix}"].item(), abs=tolerance)
    gradient = torch.from_numpy(values[f"grad_logits{suffix}"]).squeeze(1)
    torch.testing.assert_close(logits.grad, gradient, atol=min(tolerance, 1e-7), rtol=0)
