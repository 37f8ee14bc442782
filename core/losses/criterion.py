"""The criterion: names, normalizes, weighs and sums the loss terms of one batch."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from core.compute.workers import ALONE, Workers
from core.geometry import centerness_from_ltrb
from core.losses.detection import centerness_loss, focal_loss, giou_loss
from core.losses.dice import dice_loss
from core.losses.pairwise import labeled_edges, pairwise_loss, supervised_edges
from core.losses.projection import projection_loss
from core.losses.semantic import semantic_loss
from core.neighborhood import Neighborhood
from core.structures import Assignment, MaskTargets, Predictions, Selection


@dataclass(frozen=True)
class Losses:
    """The terms of one batch: class, box, centerness, and those terms of the mask loss that have a weight.

    `weighted` includes the pairwise term's warm-up; training minimizes their `total`.
    """

    unweighted: dict[str, Float[Tensor, ""]]
    weighted: dict[str, Float[Tensor, ""]]
    pairwise_warmup: float  # 0..1
    edges_kept: float  # share of the box pixels' edges that are supervised; NaN where no pairwise term was computed

    @property
    def total(self) -> Float[Tensor, ""]:
        return torch.stack(list(self.weighted.values())).sum()


def pairwise_warmup(step: int, warmup_steps: int) -> float:
    """Raise the pairwise weight linearly, from 1 / warmup_steps at step 0 to 1; AdelaiDet counts before it uses."""
    return min((step + 1) / warmup_steps, 1.0) if warmup_steps else 1.0


def criterion(
    predictions: Predictions,
    mask_logits: Float[Tensor, "N h w"],
    assignment: Assignment,
    selection: Selection,
    mask_targets: MaskTargets,
    neighborhood: Neighborhood,
    *,
    dice_weight: float,
    mask_projection_weight: float,
    mask_pairwise_weight: float,
    projection_weight: float,
    pairwise_weight: float,
    box_mask_weight: float,
    semantic_weight: float,
    focal_alpha: float,
    focal_gamma: float,
    step: int,
    warmup_steps: int,
    workers: Workers = ALONE,
    mask_workers: Workers = ALONE,
) -> Losses:
    """Score the predictions of one batch; a mask term of weight 0 is not computed.

    Class and centerness are averaged over the positives, the box loss over their centerness (FCOS). Each of the N
    selected locations is scored by dice, mask_projection and mask_pairwise if its instance has a mask, else by
    projection, pairwise and box_mask; a term is the sum of its locations over N, so that a location weighs the same
    whichever way it is supervised. A pairwise term is its mean over counted edges times the share of the locations
    that it is for. Of a batch that is all one kind these are AdelaiDet's values. Only the pairwise term of boxes is
    warmed up: it guesses labels by color, mask_pairwise knows them.

    What terms are divided by is counted over all `workers` for class, box and centerness (AdelaiDet), and over
    `mask_workers` for the mask terms: AdelaiDet's each counts alone.

    `step` counts from 0. Without positives every term is 0, but the class term, and carries a gradient.
    Predictions of less than float32 are raised to it.
    """
    mask_logits = _at_least_float32(mask_logits)
    unweighted = _detection_terms(predictions, assignment, focal_alpha, focal_gamma, workers)
    with_mask = mask_targets.has_mask[selection.target_index]
    masked, boxed = with_mask.nonzero().squeeze(1), (~with_mask).nonzero().squeeze(1)
    num_selected = mask_workers.mean(mask_logits.new_tensor(len(with_mask))).clamp(min=1)
    edges_kept = float("nan")

    if dice_weight or mask_projection_weight or mask_pairwise_weight:
        logits, target_index = _rows(mask_logits, masked), selection.target_index[masked]
    if dice_weight:
        per_location = dice_loss(logits.sigmoid(), mask_targets.masks[target_index])
        unweighted["dice"] = per_location.sum() / num_selected
    if mask_projection_weight:
        per_location = projection_loss(logits, mask_targets.masks, target_index)
        unweighted["mask_projection"] = per_location.sum() / num_selected
    if mask_pairwise_weight:
        edges = labeled_edges(mask_targets.masks, mask_targets.box_masks, neighborhood)
        mean = pairwise_loss(logits, edges, target_index, mask_workers)
        unweighted["mask_pairwise"] = mean * mask_workers.mean(num_selected.new_tensor(len(masked))) / num_selected
    if projection_weight or pairwise_weight or box_mask_weight:
        logits, target_index = _rows(mask_logits, boxed), selection.target_index[boxed]
    if projection_weight:
        per_location = projection_loss(logits, mask_targets.box_masks, target_index)
        unweighted["projection"] = per_location.sum() / num_selected
    if pairwise_weight:
        edges = supervised_edges(
            mask_targets.box_masks, mask_targets.similar_edges, mask_targets.image_index, neighborhood
        )
        edges_kept = edges.share_kept
        mean = pairwise_loss(logits, edges, target_index, mask_workers)
        unweighted["pairwise"] = mean * mask_workers.mean(num_selected.new_tensor(len(boxed))) / num_selected
    if box_mask_weight:
        per_location = dice_loss(logits.sigmoid(), mask_targets.box_masks[target_index])
        unweighted["box_mask"] = per_location.sum() / num_selected

    if semantic_weight and predictions.semantic_logits is not None:
        unweighted["semantic"] = semantic_loss(
            _at_least_float32(predictions.semantic_logits),
            mask_targets.semantic_labels,
            alpha=focal_alpha,
            gamma=focal_gamma,
            workers=mask_workers,
        )

    warmup = pairwise_warmup(step, warmup_steps)
    weights = {
        "dice": dice_weight,
        "mask_projection": mask_projection_weight,
        "mask_pairwise": mask_pairwise_weight,
        "projection": projection_weight,
        "pairwise": pairwise_weight * warmup,
        "box_mask": box_mask_weight,
        "semantic": semantic_weight,
    }
    weighted = {name: weights.get(name, 1.0) * term for name, term in unweighted.items()}
    return Losses(unweighted, weighted, warmup, edges_kept)


def _detection_terms(
    predictions: Predictions, assignment: Assignment, focal_alpha: float, focal_gamma: float, workers: Workers
) -> dict[str, Tensor]:
    positives = assignment.positives()
    target = assignment.ltrb[positives]
    num_positives = workers.mean(target.new_tensor(len(target))).clamp(min=1)
    centerness = centerness_from_ltrb(target)
    class_sum = focal_loss(
        _at_least_float32(predictions.class_logits), assignment.labels, alpha=focal_alpha, gamma=focal_gamma
    )
    box_sum = giou_loss(_at_least_float32(predictions.ltrb[positives]), target, centerness)
    centerness_sum = centerness_loss(_at_least_float32(predictions.centerness_logits[positives]), centerness)
    return {
        "class": class_sum / num_positives,
        "box": box_sum / workers.mean(centerness.sum()).clamp(min=1e-6),
        "centerness": centerness_sum / num_positives,
    }


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _rows(values: Float[Tensor, "N h w"], index: Int64[Tensor, " M"]) -> Float[Tensor, "M h w"]:
    """The rows at `index`, in order; without a copy where that is all of them."""
    return values if len(index) == len(values) else values[index]
