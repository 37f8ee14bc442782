import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch.nn import functional

from core.compute.workers import ALONE, Workers
from core.config import LossConfig
from core.config.loss import MASK_TERMS
from core.losses.criterion import LOSS_OF, Losses, Outputs, Targets, criterion, pairwise_warmup
from core.losses.dice import dice_distance
from core.losses.projection import projection_distance
from core.neighborhood import Neighborhood
from core.structures import (
    BACKGROUND,
    Annotations,
    Assignment,
    Batch,
    MaskTargets,
    Predictions,
    Selection,
    WeightedMasks,
)
from core.targets.color_similarity import similar_edges
from core.targets.edges import labeled_edges, supervised_edges
from core.targets.mask_targets import build_mask_targets
from tests.core.losses.dense_pairwise import dense_pairwise_loss
from tests.core.losses.test_pairwise import mean_loss

NEIGHBORHOOD = Neighborhood(size=3, dilation=1)
WEIGHTS = {"dice": 1.0, "projection": 1.0, "pairwise": 1.0, "box_mask": 1.0, "pairwise_warmup": 0.0}


def predictions_of(num_images: int, seed: int = 0) -> Predictions:
    """Six stride-8 locations and two classes; only what the criterion reads means anything."""
    generator = torch.Generator().manual_seed(seed)
    return Predictions(
        class_logits=torch.randn(num_images, 6, 2, generator=generator, requires_grad=True),
        ltrb=(torch.rand(num_images, 6, 4, generator=generator) + 0.5).requires_grad_(),
        centerness_logits=torch.randn(num_images, 6, generator=generator, requires_grad=True),
        locations=torch.zeros(6, 2),
        level_index=torch.zeros(6, dtype=torch.int64),
        strides=torch.full((6,), 8),
        box_tower=[],
        mask_features=torch.zeros(num_images, 1, 1, 1),
    )


def assignment_of(num_images: int, num_positives: int) -> Assignment:
    """The first locations of the first image answer for instance 0 at ltrb (1, 1, 1, 1)."""
    labels = torch.full((num_images, 6), BACKGROUND)
    labels[0, :num_positives] = 0
    positive = labels != BACKGROUND
    return Assignment(labels, torch.where(positive, 0, BACKGROUND), positive[..., None].expand(-1, -1, 4).float())


def random_edges(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 8, 6, 7, generator=torch.Generator().manual_seed(seed)) < 0.5


def targets_of(has_mask: list[bool], similar: torch.Tensor | None = None, *, boxes_vanish: bool = False) -> MaskTargets:
    """Of as many instances, in two images by turns: growing boxes, random masks in them, random edges."""
    count = len(has_mask)
    box_masks = torch.zeros(count, 6, 7, dtype=torch.bool)
    for i in range(0 if boxes_vanish else count):
        box_masks[i, i : i + 3, 1 : 4 + i] = True
    with_mask = torch.tensor(has_mask, dtype=torch.bool)
    drawn = torch.rand(count, 6, 7, generator=torch.Generator().manual_seed(0)) < 0.7
    masks = box_masks & drawn & with_mask[:, None, None]
    similar = random_edges() if similar is None else similar
    return MaskTargets(
        has_mask=with_mask,
        masks=masks,
        box_masks=box_masks,
        labeled_edges=labeled_edges(masks, box_masks, NEIGHBORHOOD),
        similar_edges=supervised_edges(box_masks, similar, torch.arange(count) % 2, NEIGHBORHOOD),
        semantic_labels=[None, None],
        ema_masks=WeightedMasks(box_masks & drawn, torch.linspace(0.25, 1, count)),
    )


def selection_of(target_index: list[int]) -> Selection:
    index = torch.tensor(target_index, dtype=torch.int64)
    return Selection(torch.zeros_like(index), torch.zeros_like(index), index)


def score(
    mask_logits: torch.Tensor,
    targets: MaskTargets,
    target_index: list[int],
    *,
    step: int = 0,
    steps: int = 10,
    num_positives: int = 3,
    predictions: Predictions | None = None,
    **changes: float,
) -> Losses:
    outputs = Outputs(predictions or predictions_of(2), selection_of(target_index), mask_logits)
    loss = LossConfig(**WEIGHTS | changes)
    return criterion(outputs, Targets(assignment_of(2, num_positives), targets), loss, step=step, steps=steps)


def logits_of(count: int) -> torch.Tensor:
    return torch.randn(count, 6, 7, generator=torch.Generator().manual_seed(count), requires_grad=True)


def test_every_term_with_a_weight_has_a_function_and_a_target() -> None:
    assert LOSS_OF.keys() == MASK_TERMS.keys()
    assert all(getattr(targets_of([True]), term.target) is not None for term in MASK_TERMS.values())


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


@dataclass(frozen=True)
class OfTwo(Workers):
    """One of two workers, the other of which counts three times as much: the mean is twice the own count."""

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        return 2 * value


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


@pytest.mark.parametrize("has_mask", [[], [False, True]], ids=["no annotations", "no positives"])
def test_without_positives_all_terms_but_class_are_zero_and_carry_a_gradient(has_mask: list[bool]) -> None:
    predictions, logits = predictions_of(2), logits_of(0)
    losses = score(logits, targets_of(has_mask), [], num_positives=0, predictions=predictions, pairwise_warmup=1.0)
    assert [name for name, term in losses.unweighted.items() if term != 0] == ["class"]
    losses.total.backward()
    assert not predictions.ltrb.grad.any()
    assert not predictions.centerness_logits.grad.any()
    assert logits.grad.shape == (0, 6, 7)


def test_boxes_that_vanish_at_the_mask_grid_give_finite_losses() -> None:
    logits = logits_of(2)
    losses = score(logits, targets_of([False, False], boxes_vanish=True), [0, 1])
    assert losses.unweighted["projection"].item() == pytest.approx(2)
    assert losses.unweighted["pairwise"].item() == 0
    losses.total.backward()
    assert not logits.grad.any()


def test_bfloat16_predictions_are_scored_in_float32() -> None:
    logits = logits_of(2).detach().bfloat16().requires_grad_()
    losses = score(logits, targets_of([False, True]), [0, 1])
    assert {term.dtype for term in losses.weighted.values()} == {torch.float32}
    losses.total.backward()
    assert logits.grad.dtype == torch.bfloat16


def golden_batch(values: dict) -> Batch:
    """The recorded photos (BGR) and boxes as a batch of box-only annotations."""
    height, width = values["padded_size"].tolist()
    images, sizes, per_image = [], [], []
    for i in range(2):
        photo = torch.from_numpy(values[f"image{i}_bgr_uint8"].copy()).flip(0)
        sizes.append((photo.shape[1], photo.shape[2]))
        images.append(functional.pad(photo, (0, width - photo.shape[2], 0, height - photo.shape[1])))
        boxes = torch.from_numpy(values[f"boxes{i}"])
        count = len(boxes)
        per_image.append(
            Annotations(
                boxes=boxes,
                labels=torch.zeros(count, dtype=torch.int64),
                has_mask=torch.zeros(count, dtype=torch.bool),
                masks=torch.zeros(count, height // 4, width // 4, dtype=torch.bool),
                mask_centroids=(boxes[:, :2] + boxes[:, 2:]) / 2,
            )
        )
    ignored = values["bottom_pixels_removed_resized"].tolist()
    return Batch(torch.stack(images), per_image, sizes, [0, 1], sizes, ignored)


def test_boxinst_mask_terms_equal_golden_at_every_step(golden) -> None:
    values = golden("d_boxinst_mask_loss")
    size, dilation = int(values["kernel_size"]), int(values["dilation"])
    threshold, warmup_steps = float(values["color_thresh"]), int(values["warmup_iters"])
    loss = LossConfig(
        neighborhood_size=size, neighborhood_dilation=dilation, color_threshold=threshold, pairwise_warmup=1.0
    )
    batch = golden_batch(values)
    similar = similar_edges(
        batch.images, batch.image_sizes, batch.ignored_bottom_rows, Neighborhood(size, dilation), 2.0, threshold
    )
    for i in range(2):
        expected = torch.from_numpy(values[f"color_similarity_im{i}"]) >= threshold
        assert torch.equal(similar[i], expected)
    targets = Targets(assignment_of(2, 3), build_mask_targets(batch, loss))
    target_index = torch.from_numpy(values["gt_inds"])
    selection = Selection(torch.zeros_like(target_index), torch.zeros_like(target_index), target_index)
    logits = torch.from_numpy(values["logits"]).squeeze(1).requires_grad_()
    for j, step in enumerate(values["iters_done_before"].tolist()):
        outputs = Outputs(predictions_of(2), selection, logits)
        losses = criterion(outputs, targets, loss, step=step, steps=warmup_steps)
        assert losses.pairwise_warmup == pytest.approx(values["warmup_factor"][j], rel=1e-12)
        assert losses.weighted["projection"].item() == pytest.approx(values["loss_prj"][j], abs=1e-6, rel=1e-6)
        assert losses.weighted["pairwise"].item() == pytest.approx(values["loss_pairwise"][j], abs=1e-6, rel=1e-6)
    (by_projection,) = torch.autograd.grad(losses.unweighted["projection"], logits, retain_graph=True)
    (by_pairwise,) = torch.autograd.grad(losses.unweighted["pairwise"], logits)
    expected = torch.from_numpy(values["grad_prj_logits"]).squeeze(1)
    torch.testing.assert_close(by_projection, expected, atol=1e-7, rtol=0)
    expected = torch.from_numpy(values["grad_pairwise_logits_full_weight"]).squeeze(1)
    torch.testing.assert_close(by_pairwise, expected, atol=1e-7, rtol=0)


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
