"""The scale of our numbers: recipe, data, backbone and schedule, and whether published numbers are comparable."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.plain_text import without_markup
from analysis.published import has_published_setting, network_name, split_of
from core.record import Record

STARTS = {  # of the backbone, by `model.backbone.weights`
    None: "from scratch",
    "package:shapes_trunk": "pretrained with boxes on other generated images",
}


def scale_sentence(records: Sequence[Record], published: pd.DataFrame) -> str:
    """State recipe, data, backbone, schedule and device, and what the numbers are evidence of.

    Published numbers are comparable only if every trial has the setting of one of them.
    """
    if not records:
        return "No trial records were found, so recipe and data are unknown."
    configs = [record.config for record in records]
    recipes = list(dict.fromkeys(f"`{without_markup(config['name'])}`" for config in configs))
    parts = [
        f"Recipe{'s' if len(recipes) > 1 else ''} {', '.join(recipes)}: data {_each(_data, configs)}",
        _networks(configs),
        _each(lambda config: training_length(config["training"]), configs),
        f"device {_each(machine, records)}",
    ]
    if comparable(configs, published):
        meaning = "The scale is the paper's, so the published numbers are comparable."
    elif all(split_of(config) == "COCO val2017" for config in configs):
        meaning = "NOT comparable with published numbers: none has this backbone, image size, schedule and batch size."
    else:
        meaning = "Evidence about the order of the arms and the gaps between them at this scale, NOT COCO numbers."
    return f"{', '.join(parts)}. {meaning}"


def machine(record: Record) -> str:
    """The device of a trial and the precision of its network, as far as they are recorded."""
    device = without_markup(record.device or "not recorded")
    return f"{device} in {record.precision}" if record.precision else device


def comparable(configs: Sequence[dict[str, Any]], published: pd.DataFrame) -> bool:
    """Whether each trial has the data, backbone, image size, schedule and batch size of a published number."""
    return all(has_published_setting(config, published) for config in configs)


def beside_published(configs: Sequence[dict[str, Any]], published: pd.DataFrame) -> str:
    """How our numbers compare with those of a published table, in a few words."""
    if comparable(configs, published):
        return "our run of a published setting"
    folders = _each(lambda config: _folder(config["data"]), configs)
    if {split_of(config) for config in configs} != {None}:
        return "with a backbone, image size, schedule or batch size that no published number has, not comparable"
    return f"on {'generated shapes' if folders == 'shapes' else f'`{folders}`'}, not comparable"


def _each(describe: Callable[[Any], str], items: Sequence[Any]) -> str:
    return ", ".join(dict.fromkeys(map(describe, items)))


def _data(config: dict[str, Any]) -> str:
    data = config["data"]
    sides = f"short side {data['val_short_side']}, long at most {data['long_side_max']} px"
    return f"`{_folder(data)}` ({sides})"


def _folder(data: dict[str, Any]) -> str:
    return without_markup(Path(data["root"]).name)


def _networks(configs: Sequence[dict[str, Any]]) -> str:
    """Each backbone once, with all that it starts from."""
    starts: dict[str, dict[str, None]] = {}
    for model in (config["model"] for config in configs):
        backbone = model["backbone"]
        name = network_name(model) or without_markup(backbone["name"])
        starts.setdefault(name, {})[STARTS.get(backbone.get("weights"), "with pretrained weights")] = None
    return ", ".join(f"backbone {name} {' or '.join(of_name)}" for name, of_name in starts.items())


def training_length(training: dict[str, Any]) -> str:
    return f"{training['epochs']} epochs" if training.get("epochs") else f"{training['steps']} steps"
