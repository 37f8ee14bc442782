import numpy as np
import pytest

from core.datasets.convert.brush import decode_brush


def packed(num_values: int, *blocks: str) -> list[int]:
    """Values of 8 bits; lengths of 3, 4, 8 or 16 bits."""
    bits = (
        f"{num_values:032b}" + f"{8 - 1:05b}" + "".join(f"{bits - 1:04b}" for bits in (3, 4, 8, 16)) + "".join(blocks)
    )
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


def run(length: int, value: int) -> str:
    return "1" + "00" + f"{length - 1:03b}" + f"{value:08b}"


def literal(*values: int) -> str:
    return "0" + "01" + f"{len(values) - 1:04b}" + "".join(f"{value:08b}" for value in values)


def test_runs_and_single_values_are_pixels_of_four_channels():
    # 2 x 2 pixels: off; 255 in the channels R, G, B alone; on; alpha 1
    blocks = run(4, 0), literal(255, 255, 255, 0), run(4, 255), literal(0, 0, 0, 1)
    mask = decode_brush(packed(16, *blocks), 2, 2, "here")
    np.testing.assert_array_equal(mask, [[False, False], [True, True]])


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        (None, "rle is None, expected a list of bytes"),
        ([0, 256], r"rle is \[0, 256\], expected a list of bytes"),
        ([0, 0, 0], "rle ends after 3 bytes"),
        (packed(16, run(8, 0)), "rle ends after 9 bytes, in the middle of the mask"),
        (packed(20, run(8, 0)), "rle has 20 values, expected 4 for each of 2 x 2 pixels"),
        (packed(2**32 - 1), "rle has 4294967295 values, expected 4"),
        (packed(16, run(8, 0), run(4, 0), run(8, 0)), "rle has a block to value 20, expected at most 16"),
    ],
)
def test_what_is_wrong_is_named(rle, message):
    with pytest.raises(ValueError, match=f"^here: {message}"):
        decode_brush(rle, 2, 2, "here")
