"""Random views of an image: resize, zoom, crop, flip and color jitter with torchvision's transforms.v2.

The parameters of a view are drawn first, then applied to the image, its boxes and its masks. They depend only on
(seed, epoch, index): the number of workers, the batch size and resuming from a checkpoint change nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F


@dataclass(frozen=True)
class View:
    """Parameters of a transformation, in the order they are applied: resize, crop, flip, color factors."""

    resized: tuple[int, int]  # (height, width)
    window: tuple[int, int, int, int]  # crop: top, left, height, width within the resized image
    flipped: bool  # left to right
    color_factors: tuple[float, float, float] | None  # brightness, contrast, saturation; 1: unchanged

    @property
    def size(self) -> tuple[int, int]:
        return self.window[2:]


def resized_shape(height: int, width: int, short_side: int, long_side_max: int) -> tuple[int, int]:
    """Height and width after resizing the short side to `short_side`, with the long side at most `long_side_max`.

    Rounds exactly as detectron2's ResizeShortestEdge, which scales twice if the long side exceeds the limit.
    """
    scale = short_side / min(height, width)
    sides = (short_side, scale * width) if height < width else (scale * height, short_side)
    if max(sides) > long_side_max:
        shrink = long_side_max / max(sides)
        sides = (shrink * sides[0], shrink * sides[1])
    return max(int(sides[0] + 0.5), 1), max(int(sides[1] + 0.5), 1)


def largest_shape(
    height: int,
    width: int,
    *,
    short_sides: tuple[int, ...],
    long_side_max: int,
    scale_range: tuple[float, float] | None = None,
) -> tuple[int, int]:
    """Height and width of an image in its largest view, before a zoomed one is cropped."""
    shape = resized_shape(height, width, max(short_sides), long_side_max)
    return _zoomed(shape, scale_range[1]) if scale_range else shape


def _zoomed(shape: tuple[int, int], zoom: float) -> tuple[int, int]:
    height, width = (max(int(side * zoom + 0.5), 1) for side in shape)
    return height, width


def fixed_view(height: int, width: int, epoch: int, index: int, *, short_side: int, long_side_max: int) -> View:
    """The view for evaluation: only resized; independent of `epoch` and `index`."""
    resized = resized_shape(height, width, short_side, long_side_max)
    return View(resized, (0, 0, *resized), flipped=False, color_factors=None)


def random_view(
    height: int,
    width: int,
    epoch: int,
    index: int,
    *,
    short_sides: tuple[int, ...],
    long_side_max: int,
    flip_probability: float,
    color_jitter: float,
    scale_range: tuple[float, float] | None,
    seed: int,
) -> View:
    """Draw the view of image `index` in `epoch`.

    The zoom factor is uniform in `scale_range`. An enlarged image is cropped at a random position to its size without
    zoom; a smaller one is kept as it is, since batches are padded anyway.
    """
    rng = np.random.default_rng([seed, epoch, index])
    base = resized_shape(height, width, int(rng.choice(short_sides)), long_side_max)
    zoom = rng.uniform(*scale_range) if scale_range else 1.0
    resized = _zoomed(base, zoom)
    top, left = (int(rng.integers(max(big - small, 0) + 1)) for big, small in zip(resized, base, strict=True))
    flipped = bool(rng.random() < flip_probability)
    factors = tuple(rng.uniform(1 - color_jitter, 1 + color_jitter, 3).tolist())
    window = (top, left, min(resized[0], base[0]), min(resized[1], base[1]))
    return View(resized, window, flipped, factors if color_jitter else None)


def resize_to(item, shape: tuple[int, int], interpolation: InterpolationMode = InterpolationMode.BILINEAR):
    """An item as for `apply_view` at a height and width; itself where it has them already."""
    return item if _size(item) == shape else F.resize(item, list(shape), interpolation=interpolation)


def apply_view(item, view: View):
    """Apply a view to an image (PIL), boxes (`tv_tensors.BoundingBoxes`, clipped) or masks (plain `G H W` tensor).

    Images are interpolated bilinearly by PIL, as in detectron2; masks use the nearest pixel.
    """
    is_mask = isinstance(item, torch.Tensor) and not isinstance(item, tv_tensors.TVTensor)
    interpolation = InterpolationMode.NEAREST_EXACT if is_mask else InterpolationMode.BILINEAR
    item = resize_to(item, view.resized, interpolation)
    if view.size != view.resized:
        item = F.crop(item, *view.window)
    return F.horizontal_flip(item) if view.flipped else item


def apply_color(image: Image.Image, view: View) -> Image.Image:
    if view.color_factors is None:
        return image
    brightness, contrast, saturation = view.color_factors
    image = F.adjust_contrast(F.adjust_brightness(image, brightness), contrast)
    return F.adjust_saturation(image, saturation)


def apply_to_polygons(polygons: list[list[float | int]], view: View, canvas_size: tuple[int, int]) -> list[list[float]]:
    """Apply a view to polygons, without clipping; `canvas_size` is the (height, width) of the file.

    Vertices are transformed as boxes without extent: v2's key points are pixel indices, which flip to W - 1 - x, but
    coordinates flip to W - x.
    """
    vertices = torch.tensor(np.concatenate(polygons), dtype=torch.float64).reshape(-1, 2)
    points = tv_tensors.BoundingBoxes(
        torch.cat([vertices, vertices], dim=1), format="XYXY", canvas_size=canvas_size, clamping_mode=None
    )
    placed = apply_view(points, view)[:, :2].as_subclass(torch.Tensor)
    lengths = [len(polygon) // 2 for polygon in polygons]
    return [part.flatten().tolist() for part in placed.split(lengths)]


def bottom_rows(view: View, rows: int, height: int) -> int:
    """Number of rows at the bottom of the view that show the lowest `rows` rows of a file of `height` rows."""
    cropped = view.resized[0] - view.window[0] - view.window[2]
    return max(int(rows * view.resized[0] / height) - cropped, 0)


def _size(item) -> tuple[int, int]:
    if isinstance(item, Image.Image):
        return item.height, item.width
    return tuple(item.canvas_size) if isinstance(item, tv_tensors.BoundingBoxes) else tuple(item.shape[-2:])
