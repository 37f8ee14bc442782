"""The criterion: chooses, normalizes, weighs and sums the loss terms of one batch."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from core.compute.workers import ALONE, Workers
from core.config import LossConfig
from core.geometry import centerness_from_ltrb
from core.losses.detection import centerness_loss, focal_loss, giou_loss
from core.losses.dice import dice_loss
from core.losses.pairwise import pairwise_loss
from core.losses.projection import projection_loss
from core.losses.semantic import semantic_loss
from core.structures import Assignment, MaskTargets, Predictions, Selection

# Of each term of the mask loss: (mask logits, its target, which of the T instances each location answers for) -> sum
# over what is counted, count. Target and weight stand in `core.config.loss`.
LOSS_OF = {
    "dice": dice_loss,
    "mask_projection": projection_loss,
    "mask_pairwise": pairwise_loss,
    "projection": projection_loss,
    "pairwise": pairwise_loss,
    "box_mask": dice_loss,
}


@dataclass(frozen=True)
class Outputs:
    """What the network says of a batch: something at every location, and masks at the selected ones."""

    predictions: Predictions
    selection: Selection
    mask_logits: Float[Tensor, "N h w"]


@dataclass(frozen=True)
class Targets:
    """What it should say."""

    assignment: Assignment
    masks: MaskTargets


@dataclass(frozen=True)
class Losses:
    """The terms of one batch: class, box, centerness, and those terms of the mask loss that have a weight.

    `weighted` includes the warm-up; training minimizes their `total`.
    """

    unweighted: dict[str, Float[Tensor, ""]]
    weighted: dict[str, Float[Tensor, ""]]
    pairwise_warmup: float  # 0..1
    edges_kept: float  # share of the box pixels' edges that are supervised; NaN where no term looked at their colors

    @property
    def total(self) -> Float[Tensor, ""]:
        return torch.stack(list(self.weighted.values())).sum()


def criterion(
    outputs: Outputs, targets: Targets, loss: LossConfig, *, step: int, steps: int, workers: Workers = ALONE
) -> Losses:
    """Score what the network says of one batch; a term of weight 0 is not computed.

    The losses give sums and counts; they are divided here alone. Counts are means over the `workers`, those of the
    mask and semantic terms only with `mask_normalizer: all_workers`: each of AdelaiDet's workers counts its own.

    `step` of `steps` counts from 0. Without positives every term is 0, but the class term, and carries a gradient.
    Predictions of less than float32 are raised to it.
    """
    mask_workers = workers if loss.mask_normalizer == "all_workers" else ALONE
    unweighted = {
        **_detection_terms(outputs.predictions, targets.assignment, loss, workers),
        **_mask_terms(outputs, targets.masks, loss, mask_workers),
        **_semantic_term(outputs.predictions, targets.masks, loss, mask_workers),
    }
    warmup = pairwise_warmup(step, round(loss.pairwise_warmup * steps))
    weights = {name: getattr(loss, name) * (warmup if term.warmed_up else 1) for name, term in loss.used_terms.items()}
    weights["semantic"] = loss.semantic
    weighted = {name: weights.get(name, 1.0) * term for name, term in unweighted.items()}
    edges = targets.masks.similar_edges
    return Losses(unweighted, weighted, warmup, float("nan") if edges is None else edges.share_kept)


def pairwise_warmup(step: int, warmup_steps: int) -> float:
    """Raise the pairwise weight linearly, from 1 / warmup_steps at step 0 to 1; AdelaiDet counts before it uses."""
    return min((step + 1) / warmup_steps, 1.0) if warmup_steps else 1.0


def _detection_terms(
    predictions: Predictions, assignment: Assignment, loss: LossConfig, workers: Workers
) -> dict[str, Tensor]:
    """Average class and centerness over the positives, the box loss over their centerness (FCOS)."""
    positives = assignment.positives()
    target = assignment.ltrb[positives]
    centerness = centerness_from_ltrb(target)
    class_logits = _at_least_float32(predictions.class_logits)
    ltrb = _at_least_float32(predictions.ltrb[positives])
    centerness_logits = _at_least_float32(predictions.centerness_logits[positives])
    of_class = focal_loss(class_logits, assignment.labels, alpha=loss.focal_alpha, gamma=loss.focal_gamma)
    return {
        "class": _mean(*of_class, workers),
        "box": _mean(*giou_loss(ltrb, target, centerness), workers, at_least=1e-6),
        "centerness": _mean(*centerness_loss(centerness_logits, centerness), workers),
    }


def _mask_terms(outputs: Outputs, targets: MaskTargets, loss: LossConfig, workers: Workers) -> dict[str, Tensor]:
    """Score each selected location by the terms that learn from what its instance has: a mask, or a box only.

    A term is the sum over its locations divided by the number of all, so that a location weighs the same whichever way
    it is supervised. A pairwise term has its mean over edges in place of each location's value. Of a batch that is all
    one kind these are AdelaiDet's values.
    """
    mask_logits, selection = _at_least_float32(outputs.mask_logits), outputs.selection
    with_mask = targets.has_mask[selection.target_index]
    num_selected = workers.mean(mask_logits.new_tensor(len(with_mask))).clamp(min=1)
    terms = {}
    for source, scored in (("masks", with_mask), ("boxes", ~with_mask)):
        used = {name: term for name, term in loss.used_terms.items() if term.learns_from == source}
        if not used:
            continue
        location = scored.nonzero().squeeze(1)
        logits, target_index = _rows(mask_logits, location), selection.target_index[location]
        for name, term in used.items():
            total, count = LOSS_OF[name](logits, getattr(targets, term.target), target_index)
            if term.pairwise:
                total = _mean(total, count, workers) * workers.mean(num_selected.new_tensor(len(location)))
            terms[name] = total / num_selected
    return terms


def _semantic_term(
    predictions: Predictions, targets: MaskTargets, loss: LossConfig, workers: Workers
) -> dict[str, Tensor]:
    """Average over the cells that show an instance, where the network has the head."""
    if not loss.semantic or predictions.semantic_logits is None:
        return {}
    logits = _at_least_float32(predictions.semantic_logits)
    sums = semantic_loss(logits, targets.semantic_labels, alpha=loss.focal_alpha, gamma=loss.focal_gamma)
    return {"semantic": _mean(*sums, workers)}


def _mean(
    total: Float[Tensor, ""], count: int | Shaped[Tensor, ""], workers: Workers, *, at_least: float = 1.0
) -> Float[Tensor, ""]:
    """Divide by the mean count of the workers, but by no less than `at_least`."""
    return total / workers.mean(torch.as_tensor(count, device=total.device)).clamp(min=at_least)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _rows(values: Float[Tensor, "N h w"], index: Int64[Tensor, " M"]) -> Float[Tensor, "M h w"]:
    """The rows at `index`, in order; without a copy where that is all of them."""
    return values if len(index) == len(values) else values[index]
