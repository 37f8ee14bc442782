"""Recipes: named base settings for studies. A file states only what differs from the recipe it extends."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from core.config.dotted import nested
from core.config.file import build_config, merge, nearest, read_yaml
from core.config.names import checked_name

RECIPES = Path(__file__).parents[2] / "experiments" / "recipes"


def load_recipe(name: str, folder: Path = RECIPES) -> dict[str, Any]:
    """Load the settings of a recipe on top of the recipe it `extends`, or of the defaults in `core/config`.

    Raises:
        ValueError: if the name cannot be one, there is no such recipe (names the closest one), or its settings are not
            valid.
    """
    path = folder / f"{checked_name('recipe', name)}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ValueError(f"recipe '{name}': no file {path}{nearest(name, known)}")
    settings = read_yaml(path)
    base = settings.pop("extends", None)
    settings = merge(load_recipe(base, folder) if base else {}, {"name": name} | nested(settings))
    build_config(settings, str(path))
    return settings


def changes_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse `NAME=VALUE` from the command line, such as `training.steps=10`, to nested settings; values are YAML.

    Raises:
        ValueError: for a pair without `=`, or a value that is not valid YAML; names it.
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
