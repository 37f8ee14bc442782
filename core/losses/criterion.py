"""The criterion: selects, normalizes, weights and sums the loss terms of a batch."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from core.compute.workers import ALONE, Workers
from core.config import LossConfig
from core.config.loss import MaskTerm
from core.geometry import centerness_from_ltrb, paste_on_grid
from core.losses.detection import centerness_loss, focal_loss, giou_loss
from core.losses.dice import dice_loss, weighted_dice_loss
from core.losses.pairwise import pairwise_loss
from core.losses.projection import projection_loss
from core.losses.semantic import semantic_loss
from core.structures import Assignment, MaskTargets, Predictions, RegionMasks, Selection

# For each term of the mask loss: (mask logits, target, index of the instance of each location, among T) -> sum, count.
# Targets and weights are in `core.config.loss`.
LOSS_OF = {
    "dice": dice_loss,
    "mask_projection": projection_loss,
    "mask_pairwise": pairwise_loss,
    "projection": projection_loss,
    "pairwise": pairwise_loss,
    "box_mask": dice_loss,
    "ema_masks": weighted_dice_loss,
}

# Mask R-CNN computes a term itself, the cross entropy of regions with their true masks, in place of one of ours.
REGION_TERM, REPLACED_TERM = "mask", "dice"
BACKGROUND_LOGIT = -10.0  # outside of a region, where Mask R-CNN predicts no mask


@dataclass(frozen=True)
class Outputs:
    """Output of the network for a batch: predictions at all locations, masks at the selected ones."""

    predictions: Predictions
    selection: Selection
    mask_logits: Float[Tensor, "N h w"]


@dataclass(frozen=True)
class Targets:
    """Targets for the `Outputs` of the same batch."""

    assignment: Assignment
    masks: MaskTargets


@dataclass(frozen=True)
class Losses:
    """The loss terms of a batch: those of the detector, and the terms of the mask loss with a weight above 0.

    `weighted` includes the warm-up; training minimizes its sum, `total`.
    """

    unweighted: dict[str, Float[Tensor, ""]]
    weighted: dict[str, Float[Tensor, ""]]
    pairwise_warmup: float  # 0..1
    # share of the box pixels' edges that are supervised; the number NaN if no term uses colors, or without box pixels
    edges_kept: Float64[Tensor, ""] | float

    @property
    def total(self) -> Float[Tensor, ""]:
        return torch.stack(list(self.weighted.values())).sum()


def criterion(
    outputs: Outputs, targets: Targets, loss: LossConfig, *, step: int, steps: int, workers: Workers = ALONE
) -> Losses:
    """Compute the losses of a batch; a term of weight 0 is not computed.

    The loss functions return sums and counts; only the criterion divides. Counts are averaged over the `workers`, but
    those of the mask and semantic terms only with `mask_normalizer: all_workers` (AdelaiDet: each worker's own).

    `step`, out of `steps`, counts from 0. Without positives, all terms but the class term are 0 and have a gradient.
    Predictions in lower precision are converted to float32.
    """
    mask_workers = workers if loss.mask_normalizer == "all_workers" else ALONE
    selection = outputs.selection
    chosen = (selection.target_index, selection.num_with_mask)
    unweighted = {
        **_detection_terms(outputs.predictions, targets.assignment, loss, workers),
        **_mask_terms(outputs.mask_logits, *chosen, targets.masks, loss.used_terms, mask_workers),
        **_semantic_term(outputs.predictions, targets.masks, loss, mask_workers),
    }
    warmup = pairwise_warmup(step, round(loss.pairwise_warmup * steps))
    return _weighted(unweighted, targets.masks, loss, warmup)


def region_criterion(
    own_terms: dict[str, Float[Tensor, ""]],
    masks: RegionMasks,
    targets: MaskTargets,
    loss: LossConfig,
    *,
    step: int,
    steps: int,
    workers: Workers = ALONE,
) -> Losses:
    """Compute the losses of a batch for Mask R-CNN, from the terms that the network computes itself and its masks.

    Its own mask term takes the place of `dice`, and its weight. The others are those of CondInst, with each region in
    place of a location: its mask is pasted into the mask grid of the image, and all around the region is background.
    The warm-up is 1 if no term has one.
    """
    used = {name: term for name, term in loss.used_terms.items() if name != REPLACED_TERM}
    unweighted = {name: term for name, term in own_terms.items() if name != REGION_TERM or loss.dice}
    if used:
        h, w = targets.box_masks.shape[1:]
        pasted = paste_on_grid(masks.logits, masks.boxes, h, w, outside=BACKGROUND_LOGIT)
        mask_workers = workers if loss.mask_normalizer == "all_workers" else ALONE
        unweighted |= _mask_terms(pasted, masks.target_index, None, targets, used, mask_workers)
    warmed_up = any(term.warmed_up for term in used.values())
    warmup = pairwise_warmup(step, round(loss.pairwise_warmup * steps)) if warmed_up else 1.0
    return _weighted(unweighted, targets, loss, warmup)


def pairwise_warmup(step: int, warmup_steps: int) -> float:
    """Pairwise weight, linear from 1 / warmup_steps at step 0 to 1, as AdelaiDet increments its counter first."""
    return min((step + 1) / warmup_steps, 1.0) if warmup_steps else 1.0


def _weighted(unweighted: dict[str, Tensor], targets: MaskTargets, loss: LossConfig, warmup: float) -> Losses:
    weights = {name: getattr(loss, name) * (warmup if term.warmed_up else 1) for name, term in loss.used_terms.items()}
    weights |= {"semantic": loss.semantic, REGION_TERM: loss.dice}
    weighted = {name: weights.get(name, 1.0) * term for name, term in unweighted.items()}
    edges = targets.similar_edges
    return Losses(unweighted, weighted, warmup, float("nan") if edges is None else edges.share_kept)


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
    focal = {"alpha": loss.focal_alpha, "gamma": loss.focal_gamma}
    of_class = focal_loss(class_logits, assignment.labels, **focal, ignored=assignment.ignored)
    return {
        "class": _mean(*of_class, workers),
        "box": _mean(*giou_loss(ltrb, target, centerness), workers, at_least=1e-6),
        "centerness": _mean(*centerness_loss(centerness_logits, centerness), workers),
    }


def _mask_terms(
    mask_logits: Float[Tensor, "N h w"],
    target_index: Int64[Tensor, " N"],
    num_with_mask: int | None,
    targets: MaskTargets,
    used_terms: dict[str, MaskTerm],
    workers: Workers,
) -> dict[str, Tensor]:
    """Apply the terms that learn from masks to locations of instances with a mask, and the others to the rest.

    A term is the sum over its locations divided by the number of all locations, so that a location has the same weight
    however it is supervised. In a pairwise term, the mean over edges replaces the value of each location. If a batch
    has only one kind of instance, these are AdelaiDet's values. `num_with_mask` as in `Selection`.
    """
    mask_logits = _at_least_float32(mask_logits)
    with_mask = targets.has_mask[target_index]
    if num_with_mask is None:
        num_with_mask = int(with_mask.sum())
    num_of_boxes = len(with_mask) - num_with_mask
    num_selected = workers.mean(mask_logits.new_full((), len(with_mask))).clamp(min=1)
    terms = {}
    for source, scored, number in (("masks", with_mask, num_with_mask), ("boxes", ~with_mask, num_of_boxes)):
        used = {name: term for name, term in used_terms.items() if term.learns_from == source}
        if not used:
            continue
        if number in (0, len(scored)):
            location = torch.arange(number, device=scored.device)
        else:
            location = scored.nonzero_static(size=number).squeeze(1)
        logits, scored_index = _rows(mask_logits, location), target_index[location]
        for name, term in used.items():
            total, count = LOSS_OF[name](logits, getattr(targets, term.target), scored_index)
            if term.pairwise:
                total = _mean(total, count, workers) * workers.mean(num_selected.new_full((), number))
            terms[name] = total / num_selected
    return terms


def _semantic_term(
    predictions: Predictions, targets: MaskTargets, loss: LossConfig, workers: Workers
) -> dict[str, Tensor]:
    """Average over the cells that show an instance, if the network has the head."""
    if not loss.semantic or predictions.semantic_logits is None:
        return {}
    logits = _at_least_float32(predictions.semantic_logits)
    focal = {"alpha": loss.focal_alpha, "gamma": loss.focal_gamma}
    sums = semantic_loss(logits, targets.semantic_labels, **focal, ignored=targets.semantic_ignored)
    return {"semantic": _mean(*sums, workers)}


def _mean(
    total: Float[Tensor, ""], count: int | Shaped[Tensor, ""], workers: Workers, *, at_least: float = 1.0
) -> Float[Tensor, ""]:
    """Divide by the mean count of the workers, at least by `at_least`."""
    if isinstance(count, int):
        count = torch.full((), count, device=total.device)
    return total / workers.mean(count).clamp(min=at_least)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _rows(values: Float[Tensor, "N h w"], index: Int64[Tensor, " M"]) -> Float[Tensor, "M h w"]:
    """The rows at `index`, in order; without a copy if these are all rows."""
    return values if len(index) == len(values) else values[index]
