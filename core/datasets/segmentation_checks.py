"""Checks of COCO segmentations before pycocotools, which trusts them, allocates and indexes by what they say."""

import math
from typing import Any

import numpy as np

from core.files.shown import shown

COMPRESSED_RUNS = bytes(range(48, 48 + 64))  # the characters of a compressed run-length encoding: six bits each
RUN_BITS = 30  # six characters: pycocotools reads a number into 32 bits
MAX_OUTLINE = 2**21  # px around one polygon; pycocotools takes 80 bytes for each


def segmentation_problem(segmentation: Any, height: int, width: int) -> str | None:
    """What is wrong with a segmentation in an image of this size; None if pycocotools can rasterize it.

    Polygons may overhang: by the image's width to the left and the right, by its height to the top and the bottom.
    A polygon's outline is at most as long as that of all pixels together, and MAX_OUTLINE.
    """
    if isinstance(segmentation, dict):
        return _encoding_problem(segmentation, height, width)
    if not isinstance(segmentation, list):
        return f"segmentation is {shown(segmentation)}, expected polygons or a run-length encoding"
    for part in segmentation:
        if problem := _polygon_problem(part, height, width):
            return problem
    if len(segmentation) > 2 and all(len(part) == 2 for part in segmentation):
        return f"segmentation is {shown(segmentation)}, pairs x, y; expected polygons, each one list x, y, x, y, ..."
    return None


def _polygon_problem(part: Any, height: int, width: int) -> str | None:
    if not isinstance(part, list) or len(part) % 2 or not {int, float}.issuperset(map(type, part)):
        return f"polygon is {shown(part)}, expected a list of x, y, x, y, ..."
    if not part:
        return None
    if not all(map(math.isfinite, (value for value in part if type(value) is float))):
        return f"polygon has a coordinate that is not finite: {shown(part)}"
    x, y = part[0::2], part[1::2]
    for axis, values, side in (("x", x, width), ("y", y, height)):
        if min(values) < -side or max(values) > 2 * side:
            far = min(values) if min(values) < -side else max(values)
            expected = f"{-side} to {2 * side} in an image of {width} x {height} pixels"
            return f"polygon has {axis} {shown(far)}, expected {expected}"
    limit = min(MAX_OUTLINE, 4 * (height * width + height + width))
    if len(x) * max(max(x) - min(x), max(y) - min(y)) > limit:  # else it cannot be longer
        steps = [np.abs(np.diff(np.array(values, dtype=np.float64), append=values[0])) for values in (x, y)]
        if (length := np.maximum(*steps).sum()) > limit:
            return f"polygon of {len(x)} vertices is {length:.0f} px around, expected at most {limit}"
    return None


def _encoding_problem(encoding: dict, height: int, width: int) -> str | None:
    size = encoding.get("size")
    if size != [height, width] or not all(type(side) is int for side in size):
        return f"run-length encoding has size {shown(size)}, expected [{height}, {width}]"
    counts = encoding.get("counts")
    runs = run_lengths(counts) if isinstance(counts, str | bytes) else counts
    if not isinstance(runs, list) or not all(type(run) is int for run in runs):
        return f"run-length encoding has counts {shown(counts)}, expected a list of integers or its compressed form"
    if min(runs, default=0) < 0:
        return f"run-length encoding has a run of {shown(min(runs))} pixels, expected none below 0"
    if sum(runs) != height * width:
        return f"run-length encoding covers {shown(sum(runs))} pixels, expected {height * width}"
    return None


def run_lengths(counts: str | bytes) -> list[int] | None:
    """Decode a compressed run-length encoding to numbers of pixels off, on, off, ...; None if it is malformed.

    The format is COCO's: each character minus 48 is six bits, of which the highest says that the number continues.
    The other five bits are part of the number, lowest first; the highest bit of the number is its sign. From the
    fourth number on, each is the difference to the run two before. Numbers of more than RUN_BITS are malformed.
    """
    counts = counts.encode(errors="surrogatepass") if isinstance(counts, str) else counts
    if counts.translate(None, COMPRESSED_RUNS):
        return None
    runs: list[int] = []
    number, num_bits = 0, 0
    for character in counts:
        bits = character - 48
        number |= (bits & 0x1F) << num_bits
        num_bits += 5
        if num_bits > RUN_BITS:
            return None
        if not bits & 0x20:
            number -= (bits >> 4) << num_bits
            runs.append(number + runs[-2] if len(runs) > 2 else number)
            number, num_bits = 0, 0
    return runs if num_bits == 0 else None
