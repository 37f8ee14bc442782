"""params.yaml: which data, recipe, studies and seeds are run, and with what resources."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from core.config import Count, Frozen, NonNegative, Positive
from core.config.file import read_yaml, validated


class DataSet(Frozen):
    recipe: str  # file of experiments/recipes, without its ending
    root: str  # a folder in COCO format


Studies = Annotated[tuple[str, ...], Field(min_length=1)]


class NamedSet(Frozen):
    data: DataSet
    studies: Studies


class Resources(Frozen):
    parallel_trials: Count = 2
    cpus_per_trial: Count = 1  # also torch's threads
    gpus_per_trial: NonNegative = 0.0  # may be a fraction; 0 trains on the CPU
    memory_per_trial_gb: Positive | None = None  # main memory (GiB); a trial that needs more is a hole that says so


class Params(Frozen):
    sets: dict[str, NamedSet] = Field(default_factory=dict)  # home of the YAML anchors; only the one merged in is read
    data: DataSet
    studies: Studies
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    settings: dict[str, Any] = Field(default_factory=dict)  # differences from the recipe, dotted or nested
    allow_holes: bool = False  # a study with failed trials counts as done; its table says which are missing and why
    resources: Resources = Resources()

    @field_validator("studies", "seeds")
    @classmethod
    def _nothing_twice(cls, values: tuple) -> tuple:
        if len(set(values)) < len(values):
            raise ValueError("the same entry twice")
        return values


def load_params(path: Path) -> Params:
    """Read params.yaml.

    Raises:
        ValueError: for an unknown key (names the nearest real one) or a value that makes no sense.
    """
    return validated(Params, read_yaml(path), str(path))
