"""The kinds of values that settings have, and the frozen record that refuses unknown keys."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


def odd(value: int) -> int:
    """Validate: what has a middle."""
    if value % 2 == 0:
        raise ValueError("expected an odd number: a neighborhood has a middle")
    return value


def increasing(values: tuple[float, ...]) -> tuple[float, ...]:
    """Validate: each value above the one before."""
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError("expected each value above the one before")
    return values


def low_to_high(limits: tuple[float, float]) -> tuple[float, float]:
    """Validate: two limits, of which the upper may equal the lower."""
    if limits[0] > limits[1]:
        raise ValueError("expected the lower limit first")
    return limits


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Precision = Literal["float32", "bfloat16"]


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
