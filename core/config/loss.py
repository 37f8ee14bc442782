"""Settings of the loss: the weight of each term of the mask loss, and shared settings. Does not import torch."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from core.config.values import Count, Fraction, Frozen, NonNegative, Positive, Share, odd

EdgeMembership = Literal["each_end", "one_end", "both_ends"]


@dataclass(frozen=True)
class MaskTerm:
    """Properties of a term of the mask loss, in addition to its weight in `LossConfig`."""

    learns_from: Literal["masks", "boxes"]  # applies to instances with a mask, or with a box only
    label: str  # in figures
    color: int  # in figures: index in the color cycle, the one of its arm in the study `loss_terms` if it has one
    pairwise: bool = False  # averaged over edges between neighboring pixels instead of over masks
    warmed_up: bool = False  # its weight rises over the share `pairwise_warmup` of the schedule
    of_teacher: bool = False  # its target are masks that `supervision.ema_teacher` makes of the boxes

    @property
    def target(self) -> Literal["masks", "box_masks", "labeled_edges", "similar_edges", "ema_masks"]:
        """The field of `MaskTargets` that is its target."""
        if self.of_teacher:
            return "ema_masks"
        if self.pairwise:
            return "labeled_edges" if self.learns_from == "masks" else "similar_edges"
        return "masks" if self.learns_from == "masks" else "box_masks"


class LossConfig(Frozen):
    """Weights of the terms of the mask loss, in the order of computation; a term of weight 0 is not computed.

    An instance with a mask gets the terms that learn from masks, any other the terms that learn from boxes. To add a
    term, add a weight with a `MaskTerm` here and a function in `core.losses.criterion.LOSS_OF`; messages, curves,
    MLflow and figures follow.
    """

    dice: Annotated[NonNegative, MaskTerm("masks", "Dice, true mask", 4)] = 1.0  # CondInst; Mask R-CNN: its own term
    # the redesigned loss under full supervision: projections of the true mask ...
    mask_projection: Annotated[NonNegative, MaskTerm("masks", "projection, true mask", 3)] = 0.0
    # ... and both kinds of edges, same and different label (BoxInst, equation 5); true labels need no warm-up
    mask_pairwise: Annotated[NonNegative, MaskTerm("masks", "pairwise, true mask", 5, pairwise=True)] = 0.0
    projection: Annotated[NonNegative, MaskTerm("boxes", "projection", 1)] = 1.0
    # labels guessed by color, hence the warm-up
    pairwise: Annotated[NonNegative, MaskTerm("boxes", "pairwise", 2, pairwise=True, warmed_up=True)] = 1.0
    # Dice against the box as if it were the mask: the naive baseline
    box_mask: Annotated[NonNegative, MaskTerm("boxes", "Dice, box as mask", 0)] = 0.0
    # ours, after BoxTeacher: Dice against the masks of `supervision.ema_teacher`, weighted by how far to trust them
    ema_masks: Annotated[NonNegative, MaskTerm("boxes", "Dice, EMA teacher's mask", 6, of_teacher=True)] = 0.0

    semantic: NonNegative = 1.0  # with a semantic head, on images in which every instance has a mask
    color_threshold: Fraction = 0.3  # tau; AdelaiDet 0.3, the paper's table is best at 0.1
    # ours: of each image, keep the most similar edges in its boxes, this share of them, in place of those over tau
    kept_edges: Share | None = None
    color_temperature: Positive = 2.0  # theta: similarity = exp(-|lab distance| / theta)
    neighborhood_size: Annotated[int, Field(ge=3, le=63), AfterValidator(odd)] = 3
    neighborhood_dilation: Count = 2  # mask-grid cells
    # edges of both pairwise terms: each_end counts an edge once for each end in the box (AdelaiDet), one_end once (the
    # paper: at least one end in the box), both_ends (ours) only where both are in it
    edge_membership: EdgeMembership = "each_end"
    # the pairwise term is a mean over the supervised edges (AdelaiDet), or its sum over all edges at the box's pixels
    pairwise_mean: Literal["supervised_edges", "all_edges"] = "supervised_edges"
    pairwise_warmup: NonNegative = 10_000 / 90_000  # share of the schedule over which the weight rises from 0 to 1
    # whether mask terms are averaged over the locations of all workers or of each worker (AdelaiDet)
    mask_normalizer: Literal["all_workers", "each_worker"] = "all_workers"
    focal_alpha: Fraction = 0.25
    focal_gamma: NonNegative = 2.0

    @model_validator(mode="after")
    def _some_mask_term(self) -> "LossConfig":
        if not self.used_terms:
            raise ValueError(f"{', '.join(MASK_TERMS)} are all 0, expected at least one mask term above 0")
        return self

    @property
    def used_terms(self) -> dict[str, MaskTerm]:
        """The terms of the mask loss with a weight above 0, in order."""
        return {name: term for name, term in MASK_TERMS.items() if getattr(self, name)}

    @property
    def terms_of_masks(self) -> bool:
        """Whether any term in use learns from instances with a mask."""
        return any(term.learns_from == "masks" for term in self.used_terms.values())

    @property
    def terms_of_boxes(self) -> bool:
        """Whether any term in use learns from instances with a box only."""
        return any(term.learns_from == "boxes" for term in self.used_terms.values())


MASK_TERMS: dict[str, MaskTerm] = {
    name: mark
    for name, field in LossConfig.model_fields.items()
    for mark in field.metadata
    if isinstance(mark, MaskTerm)
}


def terms_that_learn_from(source: Literal["masks", "boxes"]) -> list[str]:
    """The names of all terms that learn from `source`, including those of weight 0."""
    return [name for name, term in MASK_TERMS.items() if term.learns_from == source]
