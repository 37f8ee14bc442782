"""params.yaml: which set of studies to run, with which seeds, changes and resources.

A set is a file in experiments/sets: a recipe, and the studies to run with it on the data in `datasets/<set>`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from core.config import Count, Frozen, NonNegative, Positive
from core.config.dotted import nested
from core.config.file import build_config, merge, nearest, read_yaml, validated
from core.config.names import Name
from core.config.recipe import RECIPES, load_recipe
from experiments.study import STUDIES

SETS = Path("experiments/sets")  # beside params.yaml
DATA = Path("datasets")  # also beside params.yaml
GIGABYTE = 2**30


class Resources(Frozen):
    parallel_trials: Count = 2
    cpus_per_trial: Count = 1  # also torch's threads
    gpus_per_trial: NonNegative = 0.0  # a fraction: trials share a GPU; 2 or more: a process on each; 0: on the CPU
    workers_per_trial: Count = 1  # on the CPU, processes that train a trial together, each a batch of its own
    memory_per_trial_gb: Positive | None = None  # main memory (GiB); a trial that needs more fails and says so

    @property
    def workers(self) -> int:
        """Processes that train one trial together; part of the trial's key if there are several."""
        return max(int(self.gpus_per_trial), self.workers_per_trial)

    @model_validator(mode="after")
    def _fit_together(self) -> "Resources":
        if self.gpus_per_trial > 1 and self.gpus_per_trial % 1:
            raise ValueError(
                f"gpus_per_trial is {self.gpus_per_trial:g}, expected at most 1 (trials share a GPU), or a whole "
                "number (a process on each)"
            )
        if self.gpus_per_trial and self.workers_per_trial > 1:
            raise ValueError(
                f"workers_per_trial is {self.workers_per_trial} and gpus_per_trial {self.gpus_per_trial:g}, expected "
                "only one of them: a trial on GPUs has one process on each"
            )
        if self.workers > self.cpus_per_trial:
            raise ValueError(
                f"cpus_per_trial is {self.cpus_per_trial}, expected at least {self.workers}: one for each process of a "
                "trial"
            )
        return self


Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]  # torch's generators take more, numpy's do not


def nothing_twice(values: tuple) -> tuple:
    """Validate that no entry is repeated."""
    if len(set(values)) < len(values):
        raise ValueError("the same entry twice")
    return values


class SetFile(Frozen):
    recipe: Name  # a file in experiments/recipes
    studies: Annotated[tuple[Name, ...], Field(min_length=1)]  # files in experiments/studies
    choose_on: dict[str, Any] = Field(
        default_factory=dict
    )  # changes to the recipe in searches, such as images that no study reports

    _studies = field_validator("studies")(nothing_twice)


class ParamsFile(Frozen):
    set: Name  # a file in experiments/sets
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    settings: dict[str, Any] = Field(default_factory=dict)  # changes to the recipe, dotted or nested
    allow_holes: bool = False  # a study with failed trials counts as done; its table lists them with their reasons
    resources: Resources = Resources()

    _seeds = field_validator("seeds")(nothing_twice)


@dataclass(frozen=True)
class Params:
    """What to run: params.yaml together with the file of its set."""

    set: str
    recipe: str
    studies: tuple[str, ...]
    root: str  # the set's data, a folder in COCO format
    choose_on: dict[str, Any] = field(default_factory=dict)  # changes to the recipe in searches
    seeds: tuple[int, ...] = (0,)
    settings: dict[str, Any] = field(default_factory=dict)
    allow_holes: bool = False
    resources: Resources = field(default_factory=Resources)


def load_params(path: Path, set_name: str | None = None) -> Params:
    """Read params.yaml and the file of its set; experiments/sets and datasets/ are beside params.yaml.

    `set_name` replaces the set in params.yaml.

    Raises:
        ValueError: for an unknown key or set (suggests the nearest known one) or an invalid value.
    """
    file = validated(ParamsFile, read_yaml(path), str(path))
    if set_name is not None:
        file = file.model_copy(update={"set": set_name})
    folder = path.parent / SETS
    _require_file(folder, file.set, f"{path}: set '{file.set}'")
    set_path = folder / f"{file.set}.yaml"
    chosen = validated(SetFile, read_yaml(set_path), str(set_path))
    _require_file(RECIPES, chosen.recipe, f"{set_path}: recipe")
    for study in chosen.studies:
        _require_file(STUDIES, study, f"{set_path}: studies")
    if chosen.choose_on:
        _check_choice(chosen, f"{set_path}: choose_on")
    return Params(
        set=file.set,
        recipe=chosen.recipe,
        studies=chosen.studies,
        root=(path.parent / DATA / file.set).as_posix(),
        choose_on=chosen.choose_on,
        seeds=file.seeds,
        settings=file.settings,
        allow_holes=file.allow_holes,
        resources=file.resources,
    )


def _check_choice(chosen: SetFile, place: str) -> None:
    """Raise a ValueError unless the changes for searches are settings of the recipe; `place` says where they are."""
    try:
        changes = nested(chosen.choose_on)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    if isinstance(changes.get("data"), dict) and "root" in changes["data"]:
        raise ValueError(f"{place}: data.root cannot be set: the data of a set is in {DATA}/<set>")
    build_config(merge(load_recipe(chosen.recipe), changes), place)


def _require_file(folder: Path, name: str, place: str) -> None:
    """Raise a ValueError unless the folder has a YAML file of this name; `place` says who names it."""
    if not (folder / f"{name}.yaml").is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ValueError(f"{place}: no file {folder / name}.yaml{nearest(name, known)}")
