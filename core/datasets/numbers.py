"""Numbers of COCO files, told from their look-alikes: in JSON, true, 7.0 and "7" are not 7."""

from typing import Any

FARTHEST = 2**31  # px; no coordinate is larger, and integers beyond it may overflow in the libraries behind us


def is_integer(value: Any, low: int, high: int) -> bool:
    """Whether a value is an integer from `low` to `high`; true and 7.0 are none."""
    return type(value) is int and low <= value <= high


def is_number(value: Any) -> bool:
    """Whether a value is a finite number below FARTHEST in size; true is none."""
    return type(value) in (int, float) and -FARTHEST < value < FARTHEST
