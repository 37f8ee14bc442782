"""A small batch for the criterion: predictions, assignment, mask targets, and its losses."""

from dataclasses import dataclass

import torch

from core.compute.workers import Workers
from core.config import LossConfig
from core.losses.criterion import Losses, Outputs, Targets, criterion
from core.neighborhood import Neighborhood
from core.structures import BACKGROUND, Assignment, MaskTargets, Predictions, Selection, WeightedMasks
from core.targets.edges import labeled_edges, supervised_edges

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


@dataclass(frozen=True)
class OfTwo(Workers):
    """One of two workers, the other of which counts three times as much: the mean is twice the own count."""

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        return 2 * value
