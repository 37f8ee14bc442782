"""What `params.yaml` asks for: the settings of a recipe on the set's data, with its changes, and studies over them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from core.config.dotted import nested
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from experiments.params import Params
from experiments.study import Study, load_study


def base_settings(
    params: Params, source: str, recipe: str | None = None, *, for_search: bool = False
) -> dict[str, Any]:
    """Settings of `recipe` (default: the recipe of the set), on the set's data, with the changes in `params.settings`.

    For a search, the set's own changes for searches come first. `source` names the file in errors.

    Raises:
        ValueError: as `load_recipe`; also if a change names an unknown setting.
    """
    try:
        changes = nested(params.settings)
    except ValueError as error:
        raise ValueError(f"{source}: settings: {error}") from None
    if isinstance(changes.get("data"), dict) and "root" in changes["data"]:
        raise ValueError(
            f"{source}: settings: data.root cannot be set: the data of set '{params.set}' is in {params.root}"
        )
    of_set = {"data": {"root": params.root}}
    if for_search:
        of_set = merge(of_set, nested(params.choose_on))
    settings = merge(merge(load_recipe(recipe or params.recipe), of_set), changes)
    build_config(settings, f"{source}: settings")
    return settings


def load_studies(names: Sequence[str], params: Params, source: str) -> list[Study]:
    """The studies with these names, over the settings and seeds of the params.

    Raises:
        ValueError: as `base_settings` and `load_study`.
    """
    settings_of = partial(base_settings, params, source)
    base = settings_of()
    try:
        return [load_study(name, base, params.seeds, recipe_settings=settings_of) for name in names]
    except ValueError as error:
        if not params.settings:
            raise
        raise ValueError(f"{error}\n(with the settings of {source}, which every arm starts from)") from None
