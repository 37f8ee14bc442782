"""The data classes that the parts of `core` exchange, and the shape legend for all of them.

Shape legend (one meaning everywhere):
    B images of a batch            G annotated instances of one image   T annotated instances of the whole batch
    L pyramid levels               P locations of all levels            K classes
    R ignored regions of one image
    N selected instances (positives in training, detections kept by NMS at inference)
    C channels                     D dynamic parameters per instance    E edges per pixel = k*k - 1
    H W input image, padded        h w mask grid, stride 4 (H/4, W/4)

Boxes are float xyxy in pixels of the (resized, unpadded) input image, x1 < x2 and y1 < y2.
Images are uint8 RGB, 0..255, padded with zeros at the right and the bottom. (uint8, not [0, 1]: the color
similarity truncates pooled colors to integers, so a round trip through floats would change it.)
A mask on the grid is the full-resolution mask sampled at the cell centers, `mask[2::4, 2::4]`.
"""

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float64, Int32, Int64, UInt8
from torch import Tensor

from core.compute.transfer import to_device, to_device_together

MASK_STRIDE = 4  # input pixels per cell of the mask grid; AdelaiDet's mask_out_stride
SIZE_DIVISOR = 32  # the sides of a batch are multiples of it: stride of P5, the coarsest level the mask branch reads
MASK_FEATURE_STRIDE = 8  # input pixels per cell of the mask branch's features
BACKGROUND = -1  # label and instance index of a location without an instance


def grid_size(pixels: int) -> int:
    """Number of cells that `mask[2::4]` samples from an axis of `pixels` pixels."""
    return max((pixels - MASK_STRIDE // 2 + MASK_STRIDE - 1) // MASK_STRIDE, 0)


def padded_side(pixels: int | float) -> int:
    """The batch side that an image side of `pixels` pixels is padded to."""
    return math.ceil(pixels / SIZE_DIVISOR) * SIZE_DIVISOR


@dataclass(frozen=True)
class Annotations:
    """Annotations of one image, in the frame of the resized and flipped image.

    `masks` and `mask_centroids` are valid only where `has_mask` is true; elsewhere the mask is all false and the
    centroid is the box center, so that a box-only annotation carries nothing beyond its box.
    """

    boxes: Float[Tensor, "G 4"]
    labels: Int64[Tensor, " G"]  # 0..K-1
    has_mask: Bool[Tensor, " G"]
    masks: Bool[Tensor, "G h w"]
    mask_centroids: Float[Tensor, "G 2"]  # center of mass of the full-resolution mask, (x, y) input pixels
    # class of the smallest mask at the center of each stride-8 cell, or BACKGROUND; None if some instance has no mask,
    # or if they were not requested
    semantic_labels: Int64[Tensor, "i j"] | None = None
    # regions that are neither object nor background; None if there are none
    ignored: Bool[Tensor, "h w"] | None = None  # true in any of them
    ignored_boxes: Float[Tensor, "R 4"] | None = None

    @staticmethod
    def to_device(of_images: list["Annotations"], device: torch.device | str) -> list["Annotations"]:
        """Move the annotations of several images, each field of all of them by one copy."""
        moved: list[dict[str, Tensor]] = [{} for _ in of_images]
        for name in (each.name for each in fields(Annotations)):
            given = [i for i, annotations in enumerate(of_images) if getattr(annotations, name) is not None]
            tensors = [getattr(of_images[i], name) for i in given]
            for i, tensor in zip(given, to_device_together(tensors, device) if given else [], strict=True):
                moved[i][name] = tensor
        return [replace(annotations, **tensors) for annotations, tensors in zip(of_images, moved, strict=True)]


@dataclass(frozen=True)
class Sample:
    """One image and its annotations before batching: unpadded, with a mask grid of `grid_size(H), grid_size(W)`."""

    image: UInt8[Tensor, "3 H W"]
    annotations: Annotations
    image_id: int
    original_size: tuple[int, int]  # (height, width) of the file
    ignored_bottom_rows: int  # rows of this (resized) image whose annotations are not trusted


@dataclass(frozen=True)
class Batch:
    """Images padded to one size (multiples of SIZE_DIVISOR) with their annotations; mask grids padded with false."""

    images: UInt8[Tensor, "B 3 H W"]
    annotations: list[Annotations]
    image_sizes: list[tuple[int, int]]  # (height, width) before padding
    image_ids: list[int]
    original_sizes: list[tuple[int, int]]
    ignored_bottom_rows: list[int]

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on the device, itself if it is there already; the host does not wait for a GPU (`to_device`)."""
        if torch.device(device).type == self.images.device.type == "cpu":
            return self
        annotations = Annotations.to_device(self.annotations, device)
        return replace(self, images=to_device(self.images, device), annotations=annotations)


@dataclass(frozen=True)
class Predictions:
    """Raw output of the network at every location, ordered by level, then row-major cell.

    Holds the input of the controller, not its output: `CondInst.predict_masks` computes the dynamic parameters only
    for the locations that get a mask.
    """

    class_logits: Float[Tensor, "B P K"]
    ltrb: Float[Tensor, "B P 4"]  # in units of the location's stride, >= 0
    centerness_logits: Float[Tensor, "B P"]
    locations: Float[Tensor, "P 2"]  # (x, y) input pixels
    level_index: Int64[Tensor, " P"]  # 0..L-1
    strides: Int64[Tensor, " P"]  # input pixels per cell
    box_tower: list[Float[Tensor, "B _ _ _"]]  # per level, input of the controller
    mask_features: Float[Tensor, "B C _ _"]  # stride 8
    semantic_logits: Float[Tensor, "B K i j"] | None = None  # stride 8; None where the network has no semantic head


@dataclass(frozen=True)
class Assignment:
    """The instance assigned to each location; BACKGROUND (-1) if none."""

    labels: Int64[Tensor, "B P"]  # class, or BACKGROUND
    instance_index: Int64[Tensor, "B P"]  # index within the image's annotations, or BACKGROUND
    ltrb: Float[Tensor, "B P 4"]  # in units of the location's stride; zeros at background
    ignored: Bool[Tensor, "B P"] | None = None  # background in an ignored region; None if no image has one

    def positives(self) -> tuple[Int64[Tensor, " N"], Int64[Tensor, " N"]]:
        """(image_index, location_index) of every positive, image first, then location."""
        return self._positives

    @cached_property  # the host waits for their number
    def _positives(self) -> tuple[Tensor, Tensor]:
        image_index, location_index = (self.labels != BACKGROUND).nonzero(as_tuple=True)
        return image_index, location_index


@dataclass(frozen=True)
class Selection:
    """The locations that get a mask in this step.

    Their numbers, if given, are known to the host: with them, later work need not ask the device again.
    """

    image_index: Int64[Tensor, " N"]
    location_index: Int64[Tensor, " N"]
    target_index: Int64[Tensor, " N"]  # the instance assigned to each, among the T of the batch
    num_per_image: list[int] | None = None
    num_with_mask: int | None = None  # locations of an instance that has a mask


@dataclass(frozen=True)
class SupervisedEdges:
    """The supervised edges of T annotated instances, listed once for all locations assigned to an instance.

    An edge joins two pixels of the mask grid, each given as `y * w + x`. AdelaiDet counts it once for each end that
    is in the box and sees the other as similar; here it is listed once, with weight 1 or 2. There are S edges in all;
    those of instance t run from `start[t]` to `start[t + 1]`. Edges of similar color are assumed to have the same
    label at both ends; if the labels are known, `same` says whether they do.
    """

    first: Int32[Tensor, " S"]
    second: Int32[Tensor, " S"]
    weight: UInt8[Tensor, " S"]
    counted: Int64[Tensor, " T"]  # sum of the weights; what the mean of the term divides by
    start: Int64[Tensor, " T+1"]
    possible: int  # edges at the pixels of all box masks, kept or not, also off the grid or in ignored regions
    same: Bool[Tensor, " S"] | None = None  # None: all of them
    kept: Int64[Tensor, ""] | None = None  # counted once for each end in the box, of all T; None: that is `counted`

    @property
    def share_kept(self) -> Float64[Tensor, ""] | float:
        """Share of the box pixels' edges that are supervised, on the device; the number NaN without box pixels."""
        kept = self.counted.sum() if self.kept is None else self.kept
        return kept.double() / self.possible if self.possible else float("nan")


@dataclass(frozen=True)
class WeightedMasks:
    """Masks that a teacher makes for T annotated instances, and how far each is to be trusted."""

    masks: Bool[Tensor, "T h w"]
    weights: Float[Tensor, " T"]  # 0..1; 0 where there is no mask


@dataclass(frozen=True)
class MaskTargets:
    """Mask targets of the T annotated instances of a batch, ordered by image; `Selection.target_index` indexes them.

    Every field except `has_mask` is the target of some loss terms; edges and a teacher's masks are None if no term uses
    them.
    """

    has_mask: Bool[Tensor, " T"]
    masks: Bool[Tensor, "T h w"]  # all false where has_mask is false
    box_masks: Bool[Tensor, "T h w"]
    labeled_edges: SupervisedEdges | None  # all edges, with their labels from the true masks
    similar_edges: SupervisedEdges | None  # those that reach the color threshold
    semantic_labels: list[Int64[Tensor, "i j"] | None]  # per image, see `Annotations`
    semantic_ignored: Bool[Tensor, "B i j"] | None = None  # cells in ignored regions; None if no image has one
    ema_masks: WeightedMasks | None = None  # of the moving average of the network, if it is the teacher


@dataclass(frozen=True)
class Regions:
    """Output of Mask R-CNN before masks: for each image, the regions that survive NMS, best first.

    Includes the features, from which `MaskRcnn.predict_masks` computes the masks of the regions that get one.
    """

    boxes: list[Float[Tensor, "_ 4"]]  # xyxy, input pixels, inside the unpadded image
    scores: list[Float[Tensor, " _"]]  # class probability
    labels: list[Int64[Tensor, " _"]]
    features: dict[str, Float[Tensor, "B C _ _"]]  # by level: p3, p4, ...
    padded_size: tuple[int, int]  # (height, width) of the input


@dataclass(frozen=True)
class RegionMasks:
    """Masks of the N regions of a batch that Mask R-CNN samples for its mask loss, each on a grid of its own."""

    logits: Float[Tensor, "N m m"]  # of the class of the instance, on m x m equal cells of the region
    boxes: Float[Tensor, "N 4"]  # xyxy, input pixels
    target_index: Int64[Tensor, " N"]  # the instance that the region shows, among the T of the batch


@dataclass(frozen=True)
class Detections:
    """Final detections of one image, best first; boxes xyxy and masks in the frame of the image file."""

    boxes: Float[Tensor, "N 4"]
    scores: Float[Tensor, " N"]  # sqrt(class probability * centerness); Mask R-CNN: class probability
    labels: Int64[Tensor, " N"]
    masks: list[dict]  # COCO run-length encodings; `size` is the file's (height, width), `counts` bytes
