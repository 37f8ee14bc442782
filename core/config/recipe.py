"""Recipes: named base settings that studies differ from. A file states only what differs from its base."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from core.config.dotted import nested
from core.config.file import build_config, merge, nearest, read_yaml

RECIPES = Path(__file__).parents[2] / "experiments" / "recipes"


def load_recipe(name: str, folder: Path = RECIPES) -> dict[str, Any]:
    """Settings of a recipe: those of the recipe it `extends`, or the defaults of `core/config`, with its own on top.

    Raises:
        ValueError: if there is no such recipe (names the nearest one) or its settings are not valid.
    """
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ValueError(f"recipe '{name}': no file {path}{nearest(name, known)}")
    settings = read_yaml(path)
    base = settings.pop("extends", None)
    settings = merge(load_recipe(base, folder) if base else {}, {"name": name} | nested(settings))
    build_config(settings, str(path))
    return settings


def changes_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Nested settings from a command line's `NAME=VALUE`, such as `training.steps=10`; the value is read as YAML.

    Raises:
        ValueError: for a pair without `=`, or a value that is no YAML; names it.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair}: expected NAME=VALUE, such as inference.max_detections=50")
        try:
            settings = merge(settings, nested({name: yaml.safe_load(value)}))
        except yaml.YAMLError as error:
            raise ValueError(f"--set {pair}: not valid YAML: {error}") from error
    return settings
