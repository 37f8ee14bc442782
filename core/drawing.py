"""Instances drawn on their photo: tinted masks with an outline, thin boxes, class names and scores."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask as coco_mask
from torch import Tensor

# Okabe and Ito's palette, safe for every kind of color blindness; without black, which is hard to see on dark photos.
PALETTE = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # purple
)
TINT = 0.5  # share of the color inside a mask
DASH = 4  # px, of an outline
TEXT_HEIGHT = 11  # pixels of a picture of UNSCALED_SIDE
UNSCALED_SIDE = 600  # px: where the shorter side is longer, lines and text grow with it, to be seen on a screen
MAX_NAMED = 12  # instances in a picture; of more, each name stands once, so that names do not hide the objects


def draw_instances(
    image: Image.Image,
    boxes: Float[Tensor, "N 4"],
    labels: Int64[Tensor, " N"],
    masks: Sequence[dict],
    names: Sequence[str],
    scores: Float[Tensor, " N"] | None = None,
    *,
    min_score: float = 0.0,
    zoom: int = 1,
    colors: Sequence[int] | None = None,
    notes: Sequence[str] | None = None,
    outlines: Sequence[dict] = (),
) -> Image.Image:
    """Draw detections or annotations on a copy of their photo, each instance in its own color.

    Boxes (xyxy) and run-length encoded masks are in the frame of `image`; pass empty `masks` to draw boxes only.
    `names` are the class names by label. Detections below `min_score` are left out. `zoom` enlarges the photo before
    drawing, so that text stays readable on small images; on large ones lines and text grow. The first instance (the
    best of `Detections`) is drawn last, so that nothing covers it. `colors` are numbers of colors, by default those of
    the instances themselves; they repeat after seven. A note, if not empty, stands after the name and score. Of more
    than MAX_NAMED instances only the first of each name has its text written. `outlines` are masks to compare with,
    such as the true ones: their borders are drawn dashed, in black and white.

    Raises:
        ValueError: if the photo is not an RGB image, or the size of a mask differs from the photo's.
    """
    if image.mode != "RGB":
        raise ValueError(f"image has mode {image.mode}, expected RGB")
    named = [(f"mask {index}", mask) for index, mask in enumerate(masks)]
    named += [(f"outline {index}", mask) for index, mask in enumerate(outlines)]
    for name, mask in named:
        size, expected = tuple(mask["size"]), (image.height, image.width)
        if size != expected:
            raise ValueError(f"{name} has size (height, width) {size}, expected {expected} as the image")
    order = [i for i in reversed(range(len(boxes))) if scores is None or scores[i] >= min_score]
    numbers = range(len(boxes)) if colors is None else colors
    palette = [PALETTE[number % len(PALETTE)] for number in numbers]
    picture = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.BICUBIC)
    scale = max(min(picture.size) / UNSCALED_SIDE, 1.0)
    line = round(scale)  # px
    if len(masks) or len(outlines):
        pixels = np.array(picture)
        for i in order if len(masks) else ():
            _tint(pixels, masks[i], zoom, palette[i], line)
        for outline in outlines:
            _dash(pixels, outline, zoom, line)
        picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(round(TEXT_HEIGHT * scale))
    for i in order:
        x1, y1, x2, y2 = (boxes[i] * zoom).tolist()
        draw.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=palette[i], width=line)
    first_of_name = {names[int(labels[i])]: i for i in order}
    named = order if len(order) <= MAX_NAMED else sorted(first_of_name.values(), reverse=True)
    for i in named:  # after all boxes, so that no box side crosses a name
        name = names[int(labels[i])]
        text = name if scores is None else f"{name} {float(scores[i]):.2f}"
        if notes is not None and notes[i]:
            text += f", {notes[i]}"
        _write(draw, text, (boxes[i, :2] * zoom).tolist(), palette[i], font, margin=line)
    return picture


def _tint(pixels: np.ndarray, encoded: dict, zoom: int, color: tuple[int, int, int], line: int) -> None:
    """Blend the color into the pixels of a mask, in place; its border, `line` pixels wide, gets the pure color."""
    mask, part = _in_picture(encoded, pixels, zoom)
    part[mask] = (1 - TINT) * part[mask] + TINT * np.array(color)
    part[_border(mask, line)] = color


def _dash(pixels: np.ndarray, encoded: dict, zoom: int, line: int) -> None:
    """Draw the border of a mask, `line` pixels wide, in dashes of black and white, in place."""
    mask, part = _in_picture(encoded, pixels, zoom)
    rows, columns = np.indices(mask.shape) // (DASH * line)
    border, is_white = _border(mask, line), (rows + columns) % 2 == 0
    part[border & is_white], part[border & ~is_white] = 255, 0


def _in_picture(encoded: dict, pixels: np.ndarray, zoom: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask, enlarged and cut to its box, and the pixels of the picture in that box."""
    left, top, width, height = (int(side) for side in coco_mask.toBbox(encoded))
    mask = coco_mask.decode(encoded)[top : top + height, left : left + width].astype(bool)
    mask = mask.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return mask, pixels[zoom * top : zoom * (top + height), zoom * left : zoom * (left + width)]


def _border(mask: np.ndarray, line: int) -> np.ndarray:
    """The pixels of a mask that are at most `line` from its outside, along rows or columns."""
    inner = mask
    for _ in range(line):
        padded = np.pad(inner, 1)
        inner = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    corner: list[float],
    color: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    *,
    margin: int,
) -> None:
    """Write text above the corner (x, y), on a background of the instance's color, shifted to fit into the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * margin + 1, bottom - top + 2 * margin + 1
    x = max(min(corner[0], draw.im.size[0] - width), 0)
    y = max(min(corner[1] - height, draw.im.size[1] - height), 0)
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=color)
    brightness = np.dot(color, (0.299, 0.587, 0.114))
    draw.text((x + margin - left, y + margin - top), text, fill="black" if brightness > 110 else "white", font=font)
