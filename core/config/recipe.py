"""Recipes: named base settings for studies. A file states only what differs from the recipe it extends."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.config.dotted import nested
from core.config.file import build_config, merge, nearest, read_yaml
from core.config.names import checked_name
from core.config.plain_yaml import parse_yaml
from core.files.shown import shown

FILE_END = ".yaml"
RECIPES = Path(__file__).parents[2] / "experiments" / "recipes"


def load_recipe(name: str, folder: Path = RECIPES, *, extended_by: tuple[str, ...] = ()) -> dict[str, Any]:
    """Load the settings of a recipe on top of the recipe it `extends`, or of the defaults in `core/config`.

    What ends in .yaml is no name but the path of a recipe, such as the winner of a search; it extends one in `folder`.
    `extended_by` are the recipes that are being read and end in this one.

    Raises:
        ValueError: if the name cannot be one, there is no such recipe (names the closest one), its settings are not
            valid, or it extends no recipe, or itself.
    """
    if name.endswith(FILE_END) and not extended_by:
        path, name = Path(name), checked_name("recipe", Path(name).stem)
    else:
        path = folder / f"{checked_name('recipe', name)}{FILE_END}"
        if not path.exists():
            known = sorted(file.stem for file in folder.glob("*.yaml"))
            raise ValueError(f"recipe '{name}': no file {path}{nearest(name, known)}")
    settings = read_yaml(path)
    base = settings.pop("extends", None)
    try:
        below = _base_settings(base, folder, (*extended_by, name))
        settings = merge(below, {"name": name} | nested(settings))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    build_config(settings, str(path) if base is None else f"{path} (on {base}.yaml)")
    return settings


def _base_settings(base: Any, folder: Path, extended_by: tuple[str, ...]) -> dict[str, Any]:
    """The settings that a recipe extends; empty for None."""
    if base is None:
        return {}
    if not isinstance(base, str):
        raise ValueError(f"extends: found {shown(base)}, expected the name of a recipe")
    if base in extended_by:
        raise ValueError(f"extends: {' extends '.join([*extended_by, base])}, expected a chain that ends")
    try:
        return load_recipe(base, folder, extended_by=extended_by)
    except ValueError as error:
        raise ValueError(f"extends: {error}") from None


def changes_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse `NAME=VALUE` from the command line, such as `training.steps=10`, to nested settings; values are YAML.

    Raises:
        ValueError: for a pair without `=`, or a value that is not valid YAML; names it.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {shown(pair)}: expected NAME=VALUE, such as inference.max_detections=50")
        try:
            settings = merge(settings, nested({name: parse_yaml(value)}))
        except ValueError as error:
            raise ValueError(f"--set {shown(pair)}: not valid YAML: {error}") from error
    return settings
