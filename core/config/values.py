"""Types for the values of settings, and the frozen base model that rejects unknown keys."""

from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def odd(value: int) -> int:
    """Validate an odd number."""
    if value % 2 == 0:
        raise ValueError("expected an odd number: a neighborhood has a center")
    return value


def increasing(values: tuple[float, ...]) -> tuple[float, ...]:
    """Validate strictly increasing values."""
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError("expected increasing values")
    return values


def low_to_high(limits: tuple[float, float]) -> tuple[float, float]:
    """Validate a lower and an upper limit, which may be equal."""
    if limits[0] > limits[1]:
        raise ValueError("expected the lower limit first")
    return limits


def inside(path: str) -> str:
    """Validate the path of a file relative to a folder that it does not leave; `/` is between folders."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts or "\\" in path or not path.isprintable():
        raise ValueError("expected a path inside the data folder, relative to it, with / between folders")
    return path


Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Whole = Annotated[int, Field(ge=0, le=10**9)]  # a larger number is a slip, and overflows somewhere below
Count = Annotated[int, Field(ge=1, le=10**9)]
Channels = Annotated[int, Field(ge=1, le=2**14)]
Layers = Annotated[int, Field(ge=0, le=100)]
Precision = Literal["float32", "bfloat16"]
InsidePath = Annotated[str, AfterValidator(inside)]


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)
