"""From a study file to the trials that answer its question; all are validated before anything runs."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config import Config
from core.config.dotted import leaves, nested
from core.config.expectation import read_expectation
from core.config.file import build_config, field_paths, merge, nearest, read_yaml, validated
from core.config.names import checked_arm, checked_study
from core.config.recipe import load_recipe
from core.config.study_file import StudyFile, arm_label, expand
from core.files.shown import shown

STUDIES = Path(__file__).parent / "studies"
# modules of analysis/studies that a study file may name: whether their figure is drawn against a field, `x`
VIEWS = {"annotation_budget": False, "class_split": False, "color_threshold": True, "mask_ratio": True}


@dataclass(frozen=True)
class Trial:
    """One training: an arm of a study with one seed. `varied` holds its value of every field that the study varies."""

    study: str
    arm: str
    seed: int
    config: Config
    varied: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.arm}-seed{self.seed}"


@dataclass(frozen=True)
class Study:
    name: str
    question: str
    source: str
    expectation: str
    reference_arm: str | None
    arms: tuple[str, ...]  # those with trials
    varied: tuple[str, ...]  # dotted names of the fields that the arms change
    seeds: tuple[int, ...]
    trials: tuple[Trial, ...]  # ordered by arm, then by seed
    left_out: tuple[tuple[Trial, str], ...] = ()  # trials of optional arms that cannot run, each with the reason
    labels: Mapping[str, str] = field(default_factory=dict)  # arm, or a part of its name between commas: for readers

    def label(self, arm: str) -> str:
        return arm_label(self.labels, arm)

    @property
    def first_trials(self) -> list[Trial]:
        """The trial of each arm with the first seed."""
        first: dict[str, Trial] = {}
        for trial in self.trials:
            first.setdefault(trial.arm, trial)
        return [*first.values()]


def load_study(
    name: str,
    base: dict[str, Any],
    seeds: tuple[int, ...],
    folder: Path = STUDIES,
    *,
    recipe_settings: Callable[[str], dict[str, Any]] = load_recipe,
) -> Study:
    """Expand the study file `name` over the settings `base` and the seeds.

    If its arms are whole recipes, `recipe_settings` gives the settings of each in place of `base`. Optional arms whose
    file of masks is not in the data folder are left out.

    Raises:
        ValueError: for a name that cannot be one, a missing file, an unknown key, field, view or arm (suggests the
            nearest one), a value out of range, or two arms with equal settings; if no arm is left.
    """
    path = folder / f"{checked_study(name)}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ValueError(f"study '{name}': no file {path}{nearest(name, known)}")
    file = validated(StudyFile, read_yaml(path), str(path))
    try:
        differences = expand(file)
        shared = nested(file.settings)
        bases = {arm: recipe_settings(recipe) for arm, recipe in file.recipes.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    configs = {
        arm: _arm_config(merge(bases.get(arm, base), shared), change, arm, path) for arm, change in differences.items()
    }
    _refuse_duplicates(configs, path)
    if any("root" in change.get("data", {}) for change in (shared, *differences.values())):
        raise ValueError(
            f"{path}: a study cannot set data.root: the data of a set is in datasets/<set>, where DVC tracks it"
        )
    if file.recipes:
        varied = different_fields(tuple(configs.values()))
    else:
        varied = tuple(dict.fromkeys(_field_of(name) for change in differences.values() for name in leaves(change)))
    # only now: the settings are real, so no error suggests an arm with a misspelled field of `vary` in its name
    try:
        _check_arms(file, configs)
        _check_view(file, varied)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    missing = {arm: missing_masks(configs[arm]) for arm in file.optional}
    reasons = {arm: f"left out: {reason}" for arm, reason in missing.items() if reason}
    if len(reasons) == len(configs):
        raise ValueError(f"{path}: every arm is optional and left out: {missing[file.optional[0]]}")
    trials = [
        Trial(name, arm, seed, config, {field: value_of(config, field) for field in varied})
        for arm, config in configs.items()
        for seed in seeds
    ]
    return Study(
        name,
        file.question,
        file.source,
        file.expectation,
        file.reference_arm,
        tuple(arm for arm in configs if arm not in reasons),
        varied,
        seeds,
        tuple(trial for trial in trials if trial.arm not in reasons),
        tuple((trial, reasons[trial.arm]) for trial in trials if trial.arm in reasons),
        file.labels,
    )


def missing_masks(config: Config) -> str | None:
    """A message if the file of masks that the config names is missing; None if it is there, or none is named."""
    if config.supervision.mask_file is None:
        return None
    path = Path(config.data.root) / config.supervision.mask_file
    return None if os.path.isfile(path) else f"no file '{path}'"  # also False for names that the file system rejects


def _check_arms(file: StudyFile, configs: dict[str, Config]) -> None:
    """Refuse a reference arm, optional arm, label, or operand of an expected order that is no arm."""
    arms = tuple(configs)
    for arm in file.optional:
        if arm not in arms:
            raise ValueError(f"optional: no arm {shown(arm)}{nearest(arm, list(arms))}")
        if configs[arm].supervision.mask_file is None:
            raise ValueError(f"optional: arm '{arm}' names no file of masks that could be missing")
    if file.reference_arm is not None and file.reference_arm not in arms:
        raise ValueError(f"reference_arm: no arm {shown(file.reference_arm)}{nearest(file.reference_arm, list(arms))}")
    named = dict.fromkeys([*arms, *(part for arm in arms for part in arm.split(","))])
    for arm in file.labels:
        if arm not in named:
            raise ValueError(f"labels: no arm {shown(arm)}{nearest(arm, list(named))}")
    read_expectation(file.expectation, arms)


def _check_view(file: StudyFile, varied: tuple[str, ...]) -> None:
    """Refuse an unknown view, and an `x` that is missing, unknown or not drawn."""
    if file.view is not None and file.view not in VIEWS:
        raise ValueError(f"view: no view {shown(file.view)}{nearest(file.view, list(VIEWS))}")
    needs_x = file.view is not None and VIEWS[file.view]
    if needs_x and file.x is None:
        raise ValueError(f"x: the view '{file.view}' needs the field that it is drawn against, one of {varied}")
    if needs_x and file.x not in varied:
        raise ValueError(f"x: {shown(file.x)} is no field that the study varies{nearest(str(file.x), list(varied))}")
    if file.x is not None and not needs_x:
        drawing = ", ".join(view for view, needs in VIEWS.items() if needs)
        raise ValueError(f"x: only the views {drawing} are drawn against a field, found view: {shown(file.view)}")


def different_fields(configs: tuple[Config, ...]) -> tuple[str, ...]:
    """Dotted names of the fields whose values differ between the configs."""
    return tuple(
        field for field in field_paths() if any(value_of(c, field) != value_of(configs[0], field) for c in configs)
    )


def _field_of(name: str) -> str:
    """The field that a change with this dotted name, of a valid setting, is a change of, or of a part of its value."""
    return next(field for field in field_paths() if f"{name}.".startswith(f"{field}."))


def value_of(config: Config, field: str) -> Any:
    """Value of the field with this dotted name."""
    value: Any = config
    for part in field.split("."):
        value = getattr(value, part)
    return value


def _arm_config(base: dict[str, Any], change: dict[str, Any], arm: str, path: Path) -> Config:
    try:
        checked_arm(arm)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return build_config(merge(base, change), f"{path}: arm '{arm}'")


def _refuse_duplicates(configs: dict[str, Config], path: Path) -> None:
    seen: dict[str, str] = {}
    for arm, config in configs.items():
        content = json.dumps(config.model_dump(mode="json", exclude={"name"}))
        if content in seen:
            raise ValueError(f"{path}: arms '{seen[content]}' and '{arm}' have the same settings, but arms must differ")
        seen[content] = arm
