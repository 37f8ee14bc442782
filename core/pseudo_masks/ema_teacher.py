"""A teacher that is the moving average of the network: it labels the boxes of each batch while the network trains.

The idea of BoxTeacher (arXiv:2210.05174), in its simplest form: teacher and network see the same view of an image, and
every box gets a mask, with a weight that says how well the mask agrees with its box and with the colors around it.
"""

from copy import deepcopy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from core.compute.precision import autocast
from core.compute.workers import Workers
from core.config import Config
from core.structures import Batch, MaskTargets, SupervisedEdges, WeightedMasks
from core.targets.assignment import assign, select_positives


class EmaTeacher:
    """The moving average of the weights of `student`, which must keep its tensors: the average follows them.

    `student` is a `CondInst`, or any module with its forward and `predict_masks`.
    """

    def __init__(self, student: nn.Module, config: Config) -> None:
        self.config = config
        self.settings = config.supervision.ema_teacher
        self.model = deepcopy(student).eval().requires_grad_(False)
        self.norms = [module for module in self.model.modules() if isinstance(module, nn.BatchNorm2d)]
        ours, theirs = self.model.state_dict(), student.state_dict()  # of the same storage as the networks
        self.followed = [(ours[name], theirs[name]) for name in ours if ours[name].is_floating_point()]

    @classmethod
    def of(cls, student: nn.Module, config: Config) -> "EmaTeacher | None":
        """The teacher of a training; None if its config has none."""
        return None if config.supervision.ema_teacher is None else cls(student, config)

    @torch.no_grad()
    def update(self, step: int, workers: Workers) -> None:
        """Follow the network after its optimizer step (from 0): average = d * average + (1 - d) * network.

        d rises as (1 + step) / (10 + step) to `decay`, so that the random start is forgotten, and a short training has
        a short average. The statistics of batch norms are those of the first of the workers, as in a checkpoint; all
        else is equal on all of them, and so is the teacher.
        """
        toward = 1 - min(self.settings.decay, (1 + step) / (10 + step))
        for average, current in self.followed:
            average.lerp_(current, toward)
        for norm in self.norms:
            workers.copy_from_first(norm)

    @torch.no_grad()
    def labels(self, batch: Batch, targets: MaskTargets, *, step: int, steps: int) -> WeightedMasks:
        """The mask of each annotated box of a batch, cut to the box, and its weight; `targets` are those of the batch.

        As for self-training, among the locations assigned to an instance the one of highest class probability *
        centerness predicts its mask. The weight is `box_agreement` of the mask before it is cut, times
        `color_agreement` of what is left, if a pairwise term has listed edges of similar color. It is 0 without a
        location, and for all before the share `start` of the schedule, when nothing is predicted.
        """
        masks = torch.zeros_like(targets.box_masks)
        if step < self.settings.first_step(steps):
            return WeightedMasks(masks, masks.new_zeros(len(masks), dtype=torch.float32))
        with autocast(self.config.training.precision, batch.images.device):
            predictions = self.model(batch.images, batch.image_sizes)
        selection = select_positives(
            assign(predictions, batch.annotations, self.config.assignment),
            predictions.class_logits,
            predictions.centerness_logits,
            batch.annotations,
            selection="best_per_instance",
            max_masks=1,  # shared among the instances of an image, at least one each
            generator=torch.Generator(),
        )
        with autocast(self.config.training.precision, batch.images.device):
            chosen = (selection.image_index, selection.location_index, selection.num_per_image)
            masks[selection.target_index] = self.model.predict_masks(predictions, *chosen) > 0
        weights = box_agreement(masks, targets.box_masks)
        masks &= targets.box_masks
        if targets.similar_edges is not None:
            weights = weights * color_agreement(masks, targets.similar_edges)
        return WeightedMasks(masks, weights)


def box_agreement(masks: Bool[Tensor, "T h w"], box_masks: Bool[Tensor, "T h w"]) -> Float[Tensor, " T"]:
    """IoU of the extent of each mask, the smallest box around it, with its box, in cells; 0 if either has no cell."""
    sides = []  # overlap, extent of the mask and of the box, on each axis
    for axis in (1, 2):
        (low, high), (box_low, box_high) = (_span(m.any(axis)) for m in (masks, box_masks))
        overlap = (torch.minimum(high, box_high) - torch.maximum(low, box_low)).clamp(min=0)
        sides.append((overlap, high - low, box_high - box_low))
    (width, mask_width, box_width), (height, mask_height, box_height) = sides
    overlap = width * height
    union = mask_width * mask_height + box_width * box_height - overlap
    there = masks.flatten(1).any(1) & box_masks.flatten(1).any(1)
    return torch.where(there, overlap / union, 0.0)


def _span(profile: Bool[Tensor, "T n"]) -> tuple[Tensor, Tensor]:
    """The first true cell of each row, and the one after the last; of none the whole row."""
    return profile.byte().argmax(1), profile.shape[1] - profile.flip(1).byte().argmax(1)


def color_agreement(masks: Bool[Tensor, "T h w"], edges: SupervisedEdges) -> Float[Tensor, " T"]:
    """Of the edges of similar color that reach into each mask, the share that lies in it; 1 if there are none.

    The others cross the border of the mask, which then lies where the color does not change.
    """
    targets = torch.arange(len(masks), device=masks.device)
    target = targets.repeat_interleave(edges.start.diff(), output_size=len(edges.first))
    origin, labels = target * (masks.shape[1] * masks.shape[2]), masks.flatten()
    first, second = labels[origin + edges.first], labels[origin + edges.second]
    none = torch.zeros(len(masks), dtype=torch.int64, device=masks.device)
    reaching = none.index_add(0, target, (first | second).long())
    inside = none.index_add(0, target, (first & second).long())
    return torch.where(reaching > 0, inside / reaching, 1.0)
