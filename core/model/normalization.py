"""Normalize images for the backbone: channel order, mean and standard deviation."""

from typing import Literal

from jaxtyping import Float, UInt8
from torch import Tensor

from core.structures import SIZE_DIVISOR


def normalize_images(
    images: UInt8[Tensor, "B 3 H W"],
    image_sizes: list[tuple[int, int]],
    *,
    channel_order: Literal["RGB", "BGR"],
    mean: Float[Tensor, "3 1 1"],
    std: Float[Tensor, "3 1 1"],
) -> Float[Tensor, "B 3 H W"]:
    """Subtract the mean and divide by the standard deviation; the padding is zero in the result, not in the input.

    Images are RGB; `mean` and `std` are in `channel_order`, on the scale 0..255; `image_sizes` are the unpadded sizes.

    Raises:
        ValueError: if the images are not padded to multiples of SIZE_DIVISOR.
    """
    if images.shape[2] % SIZE_DIVISOR or images.shape[3] % SIZE_DIVISOR:
        expected = f"expected multiples of {SIZE_DIVISOR}"
        raise ValueError(f"images are padded to {tuple(images.shape[2:])} pixels, {expected}")
    if channel_order == "BGR":
        images = images.flip(1)
    normalized = (images.to(mean.dtype) - mean) / std
    for image, (height, width) in zip(normalized, image_sizes, strict=True):
        image[:, height:] = 0
        image[:, :, width:] = 0
    return normalized
