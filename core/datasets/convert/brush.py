"""Label Studio's brush masks: RGBA pixels, packed by the run-length code of the library rle-pack."""

from typing import Any

import numpy as np
from jaxtyping import Bool

from core.datasets.numbers import is_integer
from core.files.shown import shown

CHANNELS = 4  # RGBA, row by row; the last one is the mask


def decode_brush(packed: Any, width: int, height: int, place: str) -> Bool[np.ndarray, "height width"]:
    """The mask of a brush: where its alpha is above 0.

    `packed` is a list of bytes, read as bits, the highest first: 32 for the number of values, 5 for the bits of a value
    minus 1, four times 4 for the bits of a length minus 1, and then blocks. A block is 1 bit for its kind, 2 for which
    of the four bits of lengths its length has, the length minus 1, and one value that repeats (kind 1) or as many
    values as the length says (kind 0).

    Raises:
        ValueError: if it is not that, or not for an image of this size.
    """
    if not isinstance(packed, list) or not all(is_integer(byte, 0, 255) for byte in packed):
        raise ValueError(f"{place}: rle is {shown(packed)}, expected a list of bytes")
    bits = "".join(format(byte, "08b") for byte in packed)
    position = 0

    def take(count: int) -> int:
        nonlocal position
        position += count
        if position > len(bits):
            raise ValueError(f"{place}: rle ends after {len(packed)} bytes, in the middle of the mask")
        return int(bits[position - count : position], 2)

    num_values, value_bits = take(32), take(5) + 1
    length_bits = [take(4) + 1 for _ in range(4)]
    if num_values != width * height * CHANNELS:
        found = f"rle has {num_values} values"
        raise ValueError(f"{place}: {found}, expected {CHANNELS} for each of {width} x {height} pixels")
    values = np.zeros(num_values, dtype=bool)
    start = 0
    while start < num_values:
        repeats = take(1)
        end = start + take(length_bits[take(2)]) + 1
        if end > num_values:
            raise ValueError(f"{place}: rle has a block to value {end}, expected at most {num_values}")
        values[start:end] = take(value_bits) > 0 if repeats else [take(value_bits) > 0 for _ in range(end - start)]
        start = end
    return values.reshape(height, width, CHANNELS)[:, :, -1]
