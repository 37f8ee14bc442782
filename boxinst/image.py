"""The images that the library takes: a file, a PIL image or an array."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from core.datasets.photo import open_rgb, opened, upright_size

ImageLike = str | os.PathLike | Image.Image | np.ndarray


def rgb_image(image: ImageLike) -> Image.Image:
    """The image as RGB.

    A file is turned upright by its EXIF orientation, as viewers show it. A PIL image and an array are taken pixel by
    pixel: uint8, gray (H x W) or RGB (H x W x 3, not OpenCV's BGR); transparency is dropped.

    Raises:
        ValueError: for anything else, with what was found.
    """
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Image.Image):
        if image.mode[0] in "IF":  # as `opened` refuses it in a file
            raise ValueError(f"image has mode {image.mode}, expected 8 bits per channel: scale its values to 0..255")
        try:
            return image.convert("RGB")
        except OSError as error:  # decoded only now
            raise ValueError(f"image cannot be decoded ({error})") from error
    if not isinstance(image, str | os.PathLike):
        raise ValueError(f"image is a {type(image).__name__}, expected a path, a PIL image or a uint8 array")
    path = Path(image)
    with opened(path) as photo:
        width, height = upright_size(photo)
    return open_rgb(path, width, height, upright=True)


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8:
        raise ValueError(f"image is an array of {array.dtype}, expected uint8: RGB values in 0..255")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise ValueError(f"image is an array of shape {array.shape}, expected (height, width, 3) or (height, width)")
    if 0 in array.shape:
        raise ValueError(f"image is an array of shape {array.shape}, expected at least one pixel")
    return Image.fromarray(np.ascontiguousarray(array)).convert("RGB")
