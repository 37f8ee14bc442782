"""Recipes: named base settings that studies differ from. A file states only what differs from its base."""

from pathlib import Path
from typing import Any

from core.config_file import build_config, merge, nearest, read_yaml

RECIPES = Path(__file__).parents[1] / "experiments" / "recipes"


def nested(difference: dict[str, Any]) -> dict[str, Any]:
    """Spell dotted names out as sections: `{"loss.dice": 0}` becomes `{"loss": {"dice": 0}}`; nested input is kept."""
    result: dict[str, Any] = {}
    for name, value in difference.items():
        value = nested(value) if isinstance(value, dict) else value
        for part in reversed(str(name).split(".")):
            value = {part: value}
        result = merge(result, value)
    return result


def leaves(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested settings by dotted name, in the order of the file."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def load_recipe(name: str, folder: Path = RECIPES) -> dict[str, Any]:
    """Settings of a recipe: those of the recipe it `extends`, or the defaults of `core/config.py`, with its own on top.

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
