"""The settings that `params.yaml` asks for: a recipe, its data folder, and the changes that are made to it."""

from typing import Any

from core.config.dotted import nested
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from experiments.params import Params


def base_settings(params: Params, source: str, recipe: str | None = None) -> dict[str, Any]:
    """The recipe of the set or another, on the set's data, with the changes of `params.settings`.

    `source` names the file in errors.

    Raises:
        ValueError: as `load_recipe`, and for changes that name no setting.
    """
    changes = nested(params.settings)
    if "root" in changes.get("data", {}):
        raise ValueError(
            f"{source}: settings: data.root is no setting: the data of set '{params.set}' is at {params.root}"
        )
    settings = merge(merge(load_recipe(recipe or params.recipe), {"data": {"root": params.root}}), changes)
    build_config(settings, f"{source}: settings")
    return settings
