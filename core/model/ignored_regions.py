"""Mask R-CNN beside ignored regions: what they cover is not sampled as background.

A box is covered if more than half of its area lies in the box of one region. Positives are not affected.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_area, box_iou

from core.structures import Annotations

COVERED_SHARE = 0.5  # of the area of an anchor or a proposal
NOT_SAMPLED = -1.0  # torchvision's label of anchors that are neither positive nor background


class RegionProposals(RegionProposalNetwork):
    """torchvision's network; the targets of an image with ignored regions have their boxes as `ignored_boxes`."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        labels, matched_boxes = super().assign_targets_to_anchors(anchors, targets)
        for of_image, boxes, target in zip(labels, anchors, targets, strict=True):
            if "ignored_boxes" in target:
                of_image[(of_image == 0) & is_covered(boxes, target["ignored_boxes"])] = NOT_SAMPLED
        return labels, matched_boxes


def is_covered(boxes: Float[Tensor, "N 4"], regions: Float[Tensor, "R 4"]) -> Bool[Tensor, " N"]:
    """Mark the boxes of which more than COVERED_SHARE lies in one of the regions."""
    top_left = torch.maximum(boxes[:, None, :2], regions[:, :2])  # N R 2
    bottom_right = torch.minimum(boxes[:, None, 2:], regions[:, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(2)
    return (shared > COVERED_SHARE * box_area(boxes)[:, None]).any(1)


def without_ignored(
    proposals: Float[Tensor, "N 4"], annotations: Annotations, positive_iou: float
) -> Float[Tensor, "M 4"]:
    """The proposals of an image without those that are covered and reach `positive_iou` with no instance."""
    if annotations.ignored_boxes is None:
        return proposals
    positive = (box_iou(proposals, annotations.boxes) >= positive_iou).any(1)
    return proposals[positive | ~is_covered(proposals, annotations.ignored_boxes)]
