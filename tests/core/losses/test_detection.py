import math
from itertools import product

import pytest
import torch
from torch.nn import functional

from core.geometry import centerness_from_ltrb, pyramid_locations
from core.losses.detection import centerness_loss, focal_loss, giou_loss, smoothed_iou
from core.structures import BACKGROUND, Annotations
from core.targets.assignment import assign_locations


def test_focal_loss_of_a_hand_worked_location() -> None:
    # Logit 0 is probability 1/2: true class 0.25 * 0.5^2 * ln 2, the other class 0.75 * 0.5^2 * ln 2.
    loss, count = focal_loss(torch.zeros(1, 2), torch.tensor([1]), alpha=0.25, gamma=2.0)
    assert count == 1
    assert loss.item() == pytest.approx((0.25 + 0.75) * 0.25 * math.log(2))


def test_a_background_location_is_of_no_class() -> None:
    loss, count = focal_loss(torch.zeros(1, 2), torch.tensor([BACKGROUND]), alpha=0.25, gamma=2.0)
    assert count == 0
    assert loss.item() == pytest.approx(2 * 0.75 * 0.25 * math.log(2))


def test_ignored_locations_count_for_nothing_as_a_loop_over_the_others_says() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 3, generator=generator, requires_grad=True)
    labels = torch.tensor([[0, BACKGROUND, 2, BACKGROUND, BACKGROUND], [BACKGROUND, 1, BACKGROUND, BACKGROUND, 0]])
    ignored = torch.zeros(2, 5, dtype=torch.bool)
    ignored[0, 1] = ignored[0, 4] = ignored[1, 2] = True
    loss, count = focal_loss(logits, labels, alpha=0.25, gamma=2.0, ignored=ignored)
    expected = 0.0
    for image, location, label in product(range(2), range(5), range(3)):
        if not ignored[image, location]:
            p = logits[image, location, label].sigmoid().item()
            is_object = int(labels[image, location]) == label
            expected -= 0.25 * (1 - p) ** 2 * math.log(p) if is_object else 0.75 * p**2 * math.log(1 - p)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert count == 4
    loss.backward()
    assert torch.equal(logits.grad.any(2), ~ignored)


def test_without_a_location_to_ignore_the_focal_loss_is_equal_to_the_bit() -> None:
    logits = torch.randn(2, 300, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(-1, 4, (2, 300), generator=torch.Generator().manual_seed(1))
    nothing = torch.zeros(2, 300, dtype=torch.bool)
    plain, ignoring = (focal_loss(logits, labels, alpha=0.25, gamma=2.0, ignored=i)[0] for i in (None, nothing))
    assert torch.equal(plain, ignoring)
    everything, count = focal_loss(logits.requires_grad_(), labels, alpha=0.25, gamma=2.0, ignored=~nothing)
    everything.backward()
    assert everything.item() == count == 0
    assert not logits.grad.any()


def test_focal_loss_without_focus_is_half_the_cross_entropy() -> None:
    logits, labels = torch.randn(2, 5, 3), torch.tensor([[0, 1, 2, 2, 1], [0, 0, 0, 1, 2]])
    loss, count = focal_loss(logits, labels, alpha=0.5, gamma=0.0)
    assert count == 10
    targets = functional.one_hot(labels, 3).float()
    expected = 0.5 * functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_iou_and_giou_of_hand_worked_boxes() -> None:
    # 2x2 within 4x2: I = 4, U = 8, hull 8. Then 2x4 across 4x2: I = 4, U = 12, hull 16.
    predicted = torch.tensor([[1.0, 1, 1, 1], [1, 2, 1, 2]])
    target = torch.tensor([[2.0, 1, 2, 1], [2, 1, 2, 1]])
    iou, giou = smoothed_iou(predicted, target)
    assert iou.tolist() == pytest.approx([5 / 9, 5 / 13])
    assert giou.tolist() == pytest.approx([5 / 9, 5 / 13 - 4 / 16])
    loss, weights = giou_loss(predicted, target, torch.tensor([1.0, 0.5]))
    assert weights == 1.5
    assert loss.item() == pytest.approx(4 / 9 + 0.5 * (8 / 13 + 0.25))


def test_a_box_of_no_extent_has_a_finite_gradient() -> None:
    predicted = torch.zeros(1, 4, requires_grad=True)
    giou_loss(predicted, torch.ones(1, 4), torch.ones(1))[0].backward()
    assert predicted.grad.isfinite().all()


def test_no_positives_cost_nothing_and_carry_a_gradient() -> None:
    predicted, logits = torch.zeros(0, 4, requires_grad=True), torch.zeros(0, requires_grad=True)
    by_box, weights = giou_loss(predicted, torch.zeros(0, 4), torch.zeros(0))
    by_centerness, count = centerness_loss(logits, torch.zeros(0))
    (by_box + by_centerness).backward()
    assert by_box.item() == by_centerness.item() == weights.item() == count == 0
    assert predicted.grad.shape == (0, 4)
    assert logits.grad.shape == (0,)


def test_iou_and_giou_equal_golden(golden) -> None:
    values = golden("i3_iou_giou")
    iou, giou = smoothed_iou(torch.from_numpy(values["pred_ltrb"]), torch.from_numpy(values["target_ltrb"]))
    torch.testing.assert_close(iou, torch.from_numpy(values["ious"]), atol=1e-6, rtol=0)
    torch.testing.assert_close(giou, torch.from_numpy(values["gious"]), atol=1e-6, rtol=0)


def test_detection_losses_equal_golden_values_and_gradients(golden) -> None:
    values = {name: torch.from_numpy(value) for name, value in golden("i2_fcos_losses").items()}
    locations, level_index, strides = pyramid_locations(
        [(int(height), int(width)) for height, width in values["level_hw"]], [8, 16, 32, 64, 128]
    )
    annotations = []
    for boxes, labels in ((values["boxes0"], values["classes0"]), (values["boxes1"], values["classes1"])):
        nothing = torch.zeros(len(boxes), 1, 1, dtype=torch.bool)
        annotations.append(Annotations(boxes, labels, nothing[:, 0, 0], nothing, (boxes[:, :2] + boxes[:, 2:]) / 2))
    assignment = assign_locations(
        locations,
        level_index,
        strides,
        annotations,
        size_boundaries=(64.0, 128.0, 256.0, 512.0),
        center_radius=1.5,
        center="rasterized_box",
    )
    positives = assignment.positives()
    target = assignment.ltrb[positives]
    centerness = centerness_from_ltrb(target)
    assert len(target) == values["num_pos"]
    assert centerness.sum().item() == pytest.approx(values["loss_denorm"].item(), rel=1e-6)

    class_logits = values["logits"].requires_grad_()
    ltrb, centerness_logits = values["reg"].requires_grad_(), values["ctr"].requires_grad_()
    total, count = focal_loss(class_logits, assignment.labels, alpha=0.25, gamma=2.0)
    by_class = total / count
    total, weights = giou_loss(ltrb[positives], target, centerness)
    by_box = total / weights
    total, count = centerness_loss(centerness_logits[positives].squeeze(1), centerness)
    by_centerness = total / count
    assert by_class.item() == pytest.approx(values["loss_fcos_cls"].item(), abs=1e-6, rel=1e-6)
    assert by_box.item() == pytest.approx(values["loss_fcos_loc"].item(), abs=1e-6, rel=1e-6)
    assert by_centerness.item() == pytest.approx(values["loss_fcos_ctr"].item(), abs=1e-6, rel=1e-6)
    (by_class + by_box + by_centerness).backward()
    torch.testing.assert_close(ltrb.grad, values["grad_reg"], atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(centerness_logits.grad, values["grad_ctr"], atol=1e-7, rtol=1e-6)
    # Recorded in float16: 11 bits, and steps of 6e-8 near 0.
    torch.testing.assert_close(class_logits.grad, values["grad_logits"].float(), atol=1e-7, rtol=2**-10)
