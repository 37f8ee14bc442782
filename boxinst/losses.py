"""The losses of BoxInst for any network that predicts masks, with boxes as the only annotation.

    edges = supervised_edges(images, boxes, image_index)
    loss = projection_loss(mask_logits, boxes) + warmup * pairwise_loss(mask_logits, edges)

Row n of `mask_logits` (N x h x w) is the mask of box n. Cell (i, j) is `stride` x `stride` pixels of the image, so that
an image of H x W pixels has logits of H / stride x W / stride. Boxes are xyxy in pixels of these images. For masks on a
grid of their own, as Mask R-CNN predicts them in its regions, the images are crops: examples/mask_rcnn_from_boxes.py.

The signatures in this file are stable; `core` computes the values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor

from core.losses.criterion import pairwise_warmup
from core.losses.pairwise import pairwise_loss as pairwise_sum
from core.losses.projection import projection_distance
from core.neighborhood import Neighborhood
from core.structures import MASK_STRIDE, SupervisedEdges
from core.targets.box_mask import box_masks
from core.targets.color_similarity import similar_edges
from core.targets.edges import supervised_edges as list_edges

__all__ = ["Edges", "Neighborhood", "pairwise_loss", "pairwise_warmup", "projection_loss", "supervised_edges"]

OVERSHOOT = 1e-3  # by which float images may leave 0..1: undoing a normalization does


@dataclass(frozen=True)
class Edges:
    """The edges of N boxes that `pairwise_loss` supervises, on a grid of `size` (h, w) cells."""

    listed: SupervisedEdges
    size: tuple[int, int]

    def __len__(self) -> int:
        """The number of boxes."""
        return len(self.listed.counted)


def projection_loss(
    mask_logits: Float[Tensor, "N h w"], boxes: Float[Tensor, "N 4"], *, stride: int = MASK_STRIDE
) -> Float[Tensor, ""]:
    """Compare the extent of each mask on both axes with that of its box: the mean over the masks, in 0..2.

    The projection loss of BoxInst (arXiv:2012.02310). Without masks (N = 0) the loss is 0 and still has a gradient. A
    box that covers the center of no cell costs 2 and gives no gradient.

    Raises:
        ValueError: if `stride` is below 1.
    """
    check_stride(stride)
    targets = box_masks(boxes, *mask_logits.shape[1:], stride)
    own = torch.arange(len(boxes), device=boxes.device)
    return projection_distance(at_least_float32(mask_logits), targets, own).sum() / max(len(boxes), 1)


@torch.no_grad()
def supervised_edges(
    images: Shaped[Tensor, "B 3 H W"],
    boxes: Float[Tensor, "N 4"],
    image_index: Int64[Tensor, " N"],
    *,
    image_sizes: Sequence[tuple[int, int]] | None = None,
    stride: int = MASK_STRIDE,
    color_threshold: float = 0.3,
    color_temperature: float = 2.0,
    neighborhood: Neighborhood | None = None,
) -> Edges:
    """The edges at the pixels of each box whose two ends have similar colors, and so probably the same label.

    BoxInst (arXiv:2012.02310), section 3.2: an edge joins a cell and one of the eight two cells away (`neighborhood`);
    it is supervised if exp(-distance in LAB / `color_temperature`) reaches `color_threshold`.

    `images` are RGB before normalization, uint8 or floats in 0..1, padded to one size if they differ; `image_sizes` are
    the (height, width) before padding, whose cells have no edges. `image_index` is the image of each box. Edges depend
    on the annotation alone, so that several predictions can share them.

    Raises:
        ValueError: for images that are neither uint8 nor floats in 0..1, or whose sides are no multiples of `stride`;
            if there is not one size for each image, or `image_index` leaves them.
    """
    check_stride(stride)
    pixels = as_uint8(images)
    count, _, height, width = pixels.shape
    if height % stride or width % stride:
        raise ValueError(f"images are {height} x {width} pixels, expected multiples of the stride, {stride}: pad them")
    sizes = [(height, width)] * count if image_sizes is None else list(image_sizes)
    if len(sizes) != count:
        raise ValueError(f"image_sizes has {len(sizes)} entries, expected one for each of {count} images")
    if len(image_index) and not 0 <= int(image_index.min()) <= int(image_index.max()) < count:
        found = f"{int(image_index.min())} to {int(image_index.max())}"
        raise ValueError(f"image_index is {found}, expected 0 to {count - 1}: there are {count} images")
    cells = (height // stride, width // stride)
    near = neighborhood or Neighborhood()
    similar = similar_edges(pixels, sizes, [0] * count, near, color_temperature, color_threshold, stride)
    return Edges(list_edges(box_masks(boxes, *cells, stride), similar, image_index, near), cells)


def pairwise_loss(
    mask_logits: Float[Tensor, "N h w"], edges: Edges, box_index: Int64[Tensor, " N"] | None = None
) -> Float[Tensor, ""]:
    """The mean over the supervised edges of -log P(both ends have the same label), in nats.

    BoxInst (arXiv:2012.02310), equation 8. `box_index` is the box of each mask, among those of `edges`; by default mask
    n is that of box n. Without an edge the loss is 0 and still has a gradient.

    Masks that are empty or full cost nothing. So that a training does not end there before the projection term shapes
    the masks, let the weight rise with `pairwise_warmup` over the first tenth of the steps.

    Raises:
        ValueError: if the masks are on another grid than the edges, or without `box_index` their number differs.
    """
    if (found := tuple(mask_logits.shape[1:])) != edges.size:
        raise ValueError(
            f"mask_logits have {found} cells, expected {edges.size} as the edges (sides of the images over the stride)"
        )
    if box_index is None:
        if len(mask_logits) != len(edges):
            raise ValueError(f"{len(mask_logits)} masks and the edges of {len(edges)} boxes, expected as many")
        box_index = torch.arange(len(edges), device=mask_logits.device)
    total, count = pairwise_sum(at_least_float32(mask_logits), edges.listed, box_index)
    return total / count.clamp(min=1)


def check_stride(stride: int) -> None:
    if stride < 1:
        raise ValueError(f"stride is {stride}, expected at least 1: pixels of the image to a cell of the mask")


def at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def as_uint8(images: Shaped[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
    """Images of floats in 0..1 as the uint8 that they came from.

    Raises:
        ValueError: for images of another dtype, or floats that leave 0..1.
    """
    if images.dtype == torch.uint8:
        return images
    if not images.dtype.is_floating_point:
        raise ValueError(f"images are {images.dtype}, expected uint8, or floats in 0..1")
    if images.numel():
        low, high = (float(side) for side in images.aminmax())
        if not -OVERSHOOT <= low <= high <= 1 + OVERSHOOT:
            raise ValueError(
                f"images have values from {low:.3g} to {high:.3g}, expected floats in 0..1 (or uint8): give the images "
                "before normalization, because the color of two pixels decides whether their edge is supervised"
            )
    return (images.float() * 255).round().clamp(0, 255).to(torch.uint8)
