"""Color similarity of neighboring cells of the mask grid, as evidence that two pixels share a label."""

import torch
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor
from torch.nn import functional

from core.compute.transfer import to_device
from core.neighborhood import Neighborhood
from core.structures import MASK_STRIDE
from core.targets.edge_share import thresholds_of_share

XYZ_FROM_RGB = (  # sRGB primaries, IEC 61966-2-1
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)  # XYZ of D65, 2 degree observer


def rgb_to_lab(rgb: UInt8[Tensor, "*n 3"]) -> Float64[Tensor, "*n 3"]:
    """Convert sRGB to CIE-LAB (D65): L in 0..100, a and b about -100..100; equals scikit-image's `rgb2lab` to 1e-12."""
    value = torch.arange(256, dtype=torch.float64, device=rgb.device) / 255
    linear_of_value = torch.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    xyz_from_rgb, white = (torch.tensor(values, dtype=torch.float64) for values in (XYZ_FROM_RGB, WHITE))
    xyz = linear_of_value[rgb.int()] @ to_device(xyz_from_rgb / white[:, None], rgb.device).T
    x, y, z = torch.where(xyz > 0.008856, xyz ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def trusted_cells(
    image_sizes: list[tuple[int, int]],
    ignored_bottom_rows: list[int],
    h: int,
    w: int,
    device: torch.device,
    stride: int = MASK_STRIDE,
) -> Bool[Tensor, "B h w"]:
    """Mark the cells whose center pixel is in the unpadded image and above its ignored bottom rows."""
    heights = torch.tensor([size[0] for size in image_sizes]) - torch.tensor(ignored_bottom_rows)
    widths = torch.tensor([size[1] for size in image_sizes])
    y = torch.arange(h) * stride + stride // 2
    x = torch.arange(w) * stride + stride // 2
    return to_device((y < heights[:, None])[:, :, None] & (x < widths[:, None])[:, None, :], device)


def color_similarity(
    images: UInt8[Tensor, "B 3 H W"],
    image_sizes: list[tuple[int, int]],
    ignored_bottom_rows: list[int],
    neighborhood: Neighborhood,
    temperature: float,
    stride: int = MASK_STRIDE,
) -> Float[Tensor, "B E h w"]:
    """Color similarity of each cell and its neighbors: exp(-|difference in LAB| / temperature), in 0..1.

    That of BoxInst (arXiv:2012.02310), as in AdelaiDet: the zero-padded image is averaged over 4x4 pixels and truncated
    to integers before LAB. Rounding would change 10 to 16 % of the edges over the threshold. `stride` is the side of a
    cell in pixels.

    The similarity is 0 if the neighbor is outside the unpadded image or in its ignored bottom rows. Only the neighbor
    counts: an untrusted cell keeps its edges to trusted ones.
    """
    return _similarity_and_trust(images, image_sizes, ignored_bottom_rows, neighborhood, temperature, stride)[0]


def _similarity_and_trust(
    images: UInt8[Tensor, "B 3 H W"],
    image_sizes: list[tuple[int, int]],
    ignored_bottom_rows: list[int],
    neighborhood: Neighborhood,
    temperature: float,
    stride: int,
) -> tuple[Float[Tensor, "B E h w"], Bool[Tensor, "B E h w"]]:
    """`color_similarity`, and which neighbors are trusted."""
    pooled = functional.avg_pool2d(images.float(), stride).to(torch.uint8)  # B 3 h w
    lab = rgb_to_lab(pooled.movedim(1, -1)).float()
    h, w = lab.shape[1:3]
    trusted = neighborhood.neighbors(trusted_cells(image_sizes, ignored_bottom_rows, h, w, images.device, stride))
    squares = [(neighborhood.neighbors(channel) - channel[:, None]).square_() for channel in lab.unbind(-1)]
    similarity = (squares[0].add_(squares[1]).add_(squares[2])).sqrt_().div_(-temperature).exp_()
    return similarity * trusted, trusted


def similar_edges(
    images: UInt8[Tensor, "B 3 H W"],
    image_sizes: list[tuple[int, int]],
    ignored_bottom_rows: list[int],
    neighborhood: Neighborhood,
    temperature: float,
    threshold: float,
    stride: int = MASK_STRIDE,
    ignored: Bool[Tensor, "B h w"] | None = None,
    *,
    kept_share: float | None = None,
    in_boxes: Bool[Tensor, "B h w"] | None = None,
) -> Bool[Tensor, "B E h w"]:
    """Mark the edges whose color similarity reaches `threshold`, inclusive.

    With `kept_share`, each image has a threshold of its own in place of it, which that share of the edges `in_boxes`
    reaches (`thresholds_of_share`).

    Edges to untrusted neighbors are never marked, not even at threshold 0 (where AdelaiDet would include them). Nor are
    edges with an end in an `ignored` cell: what is there belongs to no instance for sure, whatever its color.
    """
    frame = (image_sizes, ignored_bottom_rows)
    similarity, trusted = _similarity_and_trust(images, *frame, neighborhood, temperature, stride)
    usable = trusted if ignored is None else trusted & ~(ignored[:, None] | neighborhood.neighbors(ignored))
    if kept_share is None:
        return (similarity >= threshold) & usable
    thresholds = thresholds_of_share(similarity, usable, in_boxes, kept_share)
    return (similarity >= thresholds[:, None, None, None]) & usable
