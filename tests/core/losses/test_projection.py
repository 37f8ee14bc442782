import pytest
import torch

from core.losses.projection import projection_distance, projection_loss, x_profile, y_profile


def test_profiles_of_a_hand_made_map() -> None:
    maps = torch.tensor([[[1, 5, 2], [4, 0, 3]]])
    assert x_profile(maps).tolist() == [[4, 5, 3]]  # one value per column
    assert y_profile(maps).tolist() == [[5, 4]]  # one value per row


def test_projection_of_a_hand_worked_mask() -> None:
    # Probabilities 1/2 in the middle of a 1x3 grid, 0 elsewhere; the box is the left two cells.
    logits = torch.tensor([[[-100.0, 0.0, -100.0]]])
    box_masks = torch.tensor([[[True, True, False]]])
    # x profile (0, 1/2, 0) against (1, 1, 0): 1 - 2 * 0.5 / (0.25 + 2); y profile (1/2) against (1): 1 - 1 / 1.25
    expected = (1 - 1 / 2.25) + (1 - 1 / 1.25)
    loss = projection_distance(logits, box_masks, torch.tensor([0]))
    assert loss.tolist() == pytest.approx([expected], abs=1e-5)


def test_each_location_is_compared_with_the_box_it_answers_for() -> None:
    box_masks = torch.zeros(2, 3, 4, dtype=torch.bool)
    box_masks[0, :1, :2] = box_masks[1, 1:, 2:] = True
    logits = torch.where(box_masks, 50.0, -50.0)[[1, 0, 1]]
    distances = projection_distance(logits, box_masks, torch.tensor([1, 0, 0]))
    assert distances.tolist() == pytest.approx([0, 0, 2], abs=1e-5)
    total, count = projection_loss(logits, box_masks, torch.tensor([1, 0, 0]))
    assert total.item() == pytest.approx(distances.sum().item())
    assert count == 3


def test_transposing_mask_and_box_swaps_the_profiles() -> None:
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    box_masks = torch.zeros(3, 5, 7, dtype=torch.bool)
    box_masks[:, 1:4, 2:3] = True
    assert torch.equal(x_profile(logits), y_profile(logits.mT))
    index = torch.arange(3)
    torch.testing.assert_close(
        projection_distance(logits, box_masks, index), projection_distance(logits.mT, box_masks.mT, index)
    )
    torch.testing.assert_close(
        projection_distance(logits, box_masks, index), projection_distance(logits.flip(2), box_masks.flip(2), index)
    )


def test_the_gradient_goes_to_the_first_of_equal_maxima() -> None:
    logits = torch.zeros(1, 3, 4, requires_grad=True)
    x_profile(logits).sum().backward()
    assert logits.grad[0].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    logits.grad = None
    y_profile(logits).sum().backward()
    assert logits.grad[0].tolist() == [[1, 0, 0, 0]] * 3


def test_no_locations_give_no_losses_but_a_gradient() -> None:
    logits = torch.zeros(0, 3, 4, requires_grad=True)
    for num_targets in (0, 2):
        box_masks = torch.ones(num_targets, 3, 4, dtype=torch.bool)
        total, count = projection_loss(logits, box_masks, torch.zeros(0, dtype=torch.int64))
        total.backward()
        assert (total.item(), count) == (0, 0)
    assert logits.grad.shape == (0, 3, 4)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_projection_equals_golden_values_and_gradients(golden, precision: str) -> None:
    values = golden("a_projection")
    suffix, tolerance = ("", 1e-6) if precision == "float32" else ("_f64", 1e-12)
    logits = torch.from_numpy(values["logits"]).squeeze(1).to(getattr(torch, precision)).requires_grad_()
    box_masks = torch.from_numpy(values["gt_bitmasks"]).squeeze(1).bool()
    per_instance = projection_distance(logits, box_masks, torch.arange(len(logits)))
    total, count = projection_loss(logits, box_masks, torch.arange(len(logits)))
    (total / count).backward()
    expected = values[f"dice_over_columns_per_inst{suffix}"] + values[f"dice_over_rows_per_inst{suffix}"]
    torch.testing.assert_close(per_instance.detach(), torch.from_numpy(expected), atol=tolerance, rtol=0)
    assert (total / count).item() == pytest.approx(values[f"loss{suffix}"].item(), abs=tolerance)
    gradient = torch.from_numpy(values[f"grad_logits{suffix}"]).squeeze(1)
    torch.testing.assert_close(logits.grad, gradient, atol=min(tolerance, 1e-7), rtol=0)


@pytest.mark.parametrize(("case", "target"), [("tie", "tie_gt"), ("empty", None)])
def test_projection_of_ties_and_of_an_empty_box_equals_golden(golden, case: str, target: str | None) -> None:
    values = golden("a_projection")
    logits = torch.from_numpy(values[f"{case}_logits"]).squeeze(1).requires_grad_()
    box_masks = torch.from_numpy(values[target]).squeeze(1) > 0 if target else torch.zeros_like(logits).bool()
    total, count = projection_loss(logits, box_masks, torch.arange(len(logits)))
    loss = total / count
    loss.backward()
    assert loss.item() == pytest.approx(values[f"{case}_loss"].item(), abs=1e-6)
    gradient = torch.from_numpy(values[f"{case}_grad_logits"]).squeeze(1)
    torch.testing.assert_close(logits.grad, gradient, atol=1e-7, rtol=0)
