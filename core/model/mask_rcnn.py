"""Mask R-CNN (arXiv:1703.06870): torchvision's heads on our backbone and pyramid.

The parts keep the names and conventions of torchvision.models.detection. The heads are as wide as the pyramid, and
fewer regions are sampled than on COCO (torchvision: 2000 proposals, 512 regions per image).
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign, roi_align

from core.geometry import pyramid_locations
from core.model.ignored_regions import RegionProposals, without_ignored
from core.model.normalization import normalize_images
from core.structures import MASK_STRIDE, Annotations, RegionMasks, Regions

ANCHOR_STRIDES = 4  # side of a square anchor: 32 px on P3 to 512 px on P7, FPN's five sizes (arXiv:1612.03144)
ANCHOR_RATIOS = (0.5, 1.0, 2.0)  # height over width
NUM_CANDIDATES = 256  # anchors per level before NMS (torchvision: 2000 in training, 1000 afterwards)
NUM_PROPOSALS = 128  # per image after NMS
NUM_REGIONS = 64  # sampled per image in training, a quarter of them positive
POOLED_LEVELS = ("p3", "p4", "p5")
BOX_POOLING, MASK_POOLING = 7, 14  # cells per side; masks are predicted on twice as many
SAMPLES_PER_CELL = 0  # adaptive to the size of the box; 2 x 2 (torchvision) takes a sixth more time for small boxes


class MaskRcnn(nn.Module):
    """A region proposal network, then class, box and mask of each region.

    `strides` (input pixels) are per pyramid level; `pixel_mean` and `pixel_std` are in `channel_order`, on the scale
    0..255. Proposals, boxes and losses are float32, also under autocast.
    """

    def __init__(
        self,
        *,
        backbone: nn.Module,
        pyramid: nn.Module,
        num_classes: int,
        channels: int,
        strides: tuple[int, ...],
        channel_order: Literal["RGB", "BGR"],
        pixel_mean: tuple[float, float, float],
        pixel_std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = pyramid
        self.channel_order = channel_order
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).reshape(3, 1, 1), persistent=False)
        self.rpn = RegionProposals(
            Anchors(strides),
            Float32RPNHead(channels, len(ANCHOR_RATIOS)),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": NUM_CANDIDATES, "testing": NUM_CANDIDATES},
            post_nms_top_n={"training": NUM_PROPOSALS, "testing": NUM_PROPOSALS},
            nms_thresh=0.7,
        )
        self.roi_heads = RoIHeads(
            MultiScaleRoIAlign(POOLED_LEVELS, BOX_POOLING, SAMPLES_PER_CELL),
            TwoMLPHead(channels * BOX_POOLING**2, 4 * channels),
            FastRCNNPredictor(4 * channels, num_classes + 1),  # class 0 is the background
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=NUM_REGIONS,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=0.05,
            nms_thresh=0.5,
            detections_per_img=NUM_PROPOSALS * num_classes,  # all; the caller limits them before predicting masks
            mask_roi_pool=MultiScaleRoIAlign(POOLED_LEVELS, MASK_POOLING, SAMPLES_PER_CELL),
            mask_head=MaskRCNNHeads(channels, [channels] * 4, dilation=1),
            mask_predictor=MaskRCNNPredictor(channels, channels, num_classes + 1),
        )

    def forward(self, images: UInt8[Tensor, "B 3 H W"], image_sizes: list[tuple[int, int]]) -> Regions:
        """Regions of RGB images padded to multiples of 32; `image_sizes` are the unpadded sizes. For eval mode."""
        features = self._features(images, image_sizes)
        proposals, _ = self.rpn(ImageList(images, image_sizes), features)
        class_logits, deltas = self._classify(features, proposals, tuple(images.shape[2:]))
        boxes, scores, labels = self.roi_heads.postprocess_detections(class_logits, deltas, proposals, image_sizes)
        return Regions(boxes, scores, [label - 1 for label in labels], features, tuple(images.shape[2:]))

    def predict_masks(
        self, regions: Regions, image_index: int, boxes: Float[Tensor, "N 4"], labels: Int64[Tensor, " N"]
    ) -> Float[Tensor, "N m m"]:
        """Mask logits for boxes of one image, each on a grid of m x m equal cells of its box."""
        features = {name: level[image_index : image_index + 1] for name, level in regions.features.items()}
        return self._mask_logits(features, [boxes], labels, regions.padded_size)

    def most_probable_classes(
        self, regions: Regions, image_index: int, boxes: Float[Tensor, "N 4"]
    ) -> Int64[Tensor, " N"]:
        """The class of highest probability, never the background, of boxes of one image in input pixels."""
        features = {name: level[image_index : image_index + 1] for name, level in regions.features.items()}
        return self._classify(features, [boxes], regions.padded_size)[0][:, 1:].argmax(1)

    def losses(
        self, images: UInt8[Tensor, "B 3 H W"], image_sizes: list[tuple[int, int]], annotations: list[Annotations]
    ) -> tuple[dict[str, Float[Tensor, ""]], RegionMasks]:
        """Mask R-CNN's own loss terms of a batch: rpn_class, rpn_box, class, box, mask. For training mode.

        The mask term is the cross entropy over the regions of instances with a mask, divided by the cells of all
        regions that show an instance. Returns these regions too, for terms that learn from boxes. Anchors and regions
        are sampled with torch's global generators. An image without instances is all background, but for its ignored
        regions (`core.model.ignored_regions`).
        """
        padded_size = tuple(images.shape[2:])
        features = self._features(images, image_sizes)
        targets = [{"boxes": a.boxes, "labels": a.labels + 1, "masks": a.masks} for a in annotations]
        for target, annotation in zip(targets, annotations, strict=True):
            if annotation.ignored_boxes is not None:
                target["ignored_boxes"] = annotation.ignored_boxes
        proposals, rpn_losses = self.rpn(ImageList(images, image_sizes), features, targets)
        positive_iou = self.roi_heads.proposal_matcher.high_threshold
        proposals = [without_ignored(p, a, positive_iou) for p, a in zip(proposals, annotations, strict=True)]
        regions, instances, labels, deltas = self.roi_heads.select_training_samples(proposals, targets)
        found = self._classify(features, regions, padded_size)
        if any(map(len, labels)):
            class_loss, box_loss = fastrcnn_loss(*found, labels, deltas)
        else:  # all proposals ignored: fastrcnn_loss would divide 0 by 0
            class_loss, box_loss = (of_nothing.sum() for of_nothing in found)

        positive = [of_image > 0 for of_image in labels]
        boxes = [of_image[chosen] for of_image, chosen in zip(regions, positive, strict=True)]
        masks = [
            mask_targets(annotation.masks, of_image, index[chosen], 2 * MASK_POOLING)
            for annotation, of_image, index, chosen in zip(annotations, boxes, instances, positive, strict=True)
        ]
        positive_labels = torch.cat(labels)[torch.cat(positive)] - 1
        logits = self._mask_logits(features, boxes, positive_labels, padded_size)
        target_index = index_in_batch(
            [index[chosen] for index, chosen in zip(instances, positive, strict=True)],
            [len(annotation.boxes) for annotation in annotations],
        )
        with_mask = torch.cat([annotation.has_mask for annotation in annotations])[target_index]
        mask_loss = functional.binary_cross_entropy_with_logits(
            logits[with_mask], torch.cat(masks)[with_mask], reduction="sum"
        )
        terms = {
            "rpn_class": rpn_losses["loss_objectness"],
            "rpn_box": rpn_losses["loss_rpn_box_reg"],
            "class": class_loss,
            "box": box_loss,
            "mask": mask_loss / max(logits.numel(), 1),
        }
        return terms, RegionMasks(logits, torch.cat(boxes), target_index)

    def _features(
        self, images: UInt8[Tensor, "B 3 H W"], image_sizes: list[tuple[int, int]]
    ) -> dict[str, Float[Tensor, "B C _ _"]]:
        normalized = normalize_images(
            images, image_sizes, channel_order=self.channel_order, mean=self.pixel_mean, std=self.pixel_std
        )
        levels = self.pyramid(self.backbone(normalized))
        return {f"p{level}": features.float() for level, features in enumerate(levels, 3)}

    def _classify(
        self, features: dict[str, Tensor], boxes: list[Float[Tensor, "_ 4"]], padded_size: tuple[int, int]
    ) -> tuple[Float[Tensor, "N K1"], Float[Tensor, "N K4"]]:
        """Class logits, background first, and box deltas for each class."""
        heads = self.roi_heads
        pooled = heads.box_roi_pool(features, boxes, [padded_size])
        class_logits, deltas = heads.box_predictor(heads.box_head(pooled))
        return class_logits.float(), deltas.float()

    def _mask_logits(
        self,
        features: dict[str, Tensor],
        boxes: list[Float[Tensor, "_ 4"]],
        labels: Int64[Tensor, " N"],
        padded_size: tuple[int, int],
    ) -> Float[Tensor, "N m m"]:
        heads = self.roi_heads
        pooled = heads.mask_roi_pool(features, boxes, [padded_size])
        of_each_class = heads.mask_predictor(heads.mask_head(pooled))
        return of_each_class[torch.arange(len(labels), device=labels.device), labels + 1].float()


class Anchors(nn.Module):
    """Anchors of three shapes at every location; torchvision's would be rounded to whole pixels for bfloat16 maps."""

    def __init__(self, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.strides = list(strides)
        ratios = torch.tensor(ANCHOR_RATIOS)
        shapes = ANCHOR_STRIDES * torch.stack([ratios.rsqrt(), ratios.sqrt()], dim=1)  # width, height
        self.register_buffer("shapes", shapes, persistent=False)

    def forward(self, images: ImageList, levels: list[Float[Tensor, "B C _ _"]]) -> list[Float[Tensor, "A 4"]]:
        """Anchor boxes of each image, the same for all: ordered by level, row-major cell, shape."""
        sizes = [tuple(level.shape[2:]) for level in levels]
        locations, _, strides = pyramid_locations(sizes, self.strides, levels[0].device)
        half = self.shapes * strides[:, None, None] / 2
        boxes = torch.cat([locations[:, None] - half, locations[:, None] + half], dim=2).flatten(0, 1)
        return [boxes] * len(images.image_sizes)


class Float32RPNHead(RPNHead):
    """torchvision's head with float32 output: boxes are decoded in its dtype, and bfloat16 rounds to whole pixels."""

    def forward(self, levels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = super().forward(levels)
        return [level.float() for level in logits], [level.float() for level in deltas]


def index_in_batch(instance_index: list[Int64[Tensor, " _"]], num_instances: list[int]) -> Int64[Tensor, " N"]:
    """Turn the index of an instance within its image, for each image, into its index among those of the batch."""
    before = [sum(num_instances[:image]) for image in range(len(num_instances))]
    return torch.cat([index + start for index, start in zip(instance_index, before, strict=True)])


def mask_targets(
    masks: Bool[Tensor, "G h w"], boxes: Float[Tensor, "N 4"], instance_index: Int64[Tensor, " N"], size: int
) -> Float[Tensor, "N m m"]:
    """The mask of the instance inside each box, on `size` x `size` cells: the share of each cell that it covers.

    Sampled from the stride-4 grid without enlarging it: cell (i, j) of the grid is pixel (4i + 2, 4j + 2), whose center
    is half a pixel beyond the center of the cell, so boxes are shifted back by half a pixel. The mask is interpolated
    between pixels of the grid.
    """
    rois = torch.cat([instance_index[:, None].to(boxes.dtype), boxes - 0.5], dim=1)
    return roi_align(masks[:, None].to(boxes.dtype), rois, size, spatial_scale=1 / MASK_STRIDE, aligned=True)[:, 0]
