"""What our numbers are evidence of: recipe, data, network and length of training, and what they compare with."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.plain_text import without_markup
from analysis.published import has_published_setting, network_name, split_of
from core.record import Record

STARTS = {  # of the trunk, by `model.backbone.weights`
    None: "from scratch",
    "package:shapes_trunk": "with a trunk that saw boxes of other generated images",
}


def scale_sentence(records: Sequence[Record], published: pd.DataFrame) -> str:
    """Name recipe, data, network and length of training, and what such a number can be evidence of.

    Published numbers may be compared only where every trial has the setting of some of them.
    """
    if not records:
        return "No trial record was found, so recipe and data are unknown."
    configs = [record.config for record in records]
    recipes = list(dict.fromkeys(f"`{without_markup(config['name'])}`" for config in configs))
    parts = [
        f"Recipe{'s' if len(recipes) > 1 else ''} {', '.join(recipes)}: data {_each(_data, configs)}",
        _each(lambda config: _network(config["model"]), configs),
        _each(lambda config: training_length(config["training"]), configs),
        f"device {_each(machine, records)}",
    ]
    if comparable(configs, published):
        meaning = "The scale is the paper's, so the published numbers may be compared."
    elif all(split_of(config) == "COCO val2017" for config in configs):
        meaning = "No published number has this backbone, image size, schedule and batch: NOT comparable with them."
    else:
        meaning = "Evidence about the order of the arms and their gaps at this scale, NOT a COCO number."
    return f"{', '.join(parts)}. {meaning}"


def machine(record: Record) -> str:
    """The device of a trial and the precision in which its network computed there, as far as the record tells."""
    device = without_markup(record.device or "not recorded")
    return f"{device} in {record.precision}" if record.precision else device


def comparable(configs: Sequence[dict[str, Any]], published: pd.DataFrame) -> bool:
    """Whether each of these trials has the data, network, image size, schedule and batch of some published number."""
    return all(has_published_setting(config, published) for config in configs)


def beside_published(configs: Sequence[dict[str, Any]], published: pd.DataFrame) -> str:
    """What our numbers are in a table of published ones, in a few words."""
    if comparable(configs, published):
        return "our run of a published setting"
    folders = _each(lambda config: _folder(config["data"]), configs)
    if {split_of(config) for config in configs} != {None}:
        return "with a backbone, image size, schedule or batch that no published number states, not comparable"
    return f"on {'generated shapes' if folders == 'shapes' else f'`{folders}`'}, not comparable"


def _each(describe: Callable[[Any], str], items: Sequence[Any]) -> str:
    return ", ".join(dict.fromkeys(map(describe, items)))


def _data(config: dict[str, Any]) -> str:
    data = config["data"]
    sides = f"short side {data['val_short_side']}, long at most {data['long_side_max']} px"
    return f"`{_folder(data)}` ({sides})"


def _folder(data: dict[str, Any]) -> str:
    return without_markup(Path(data["root"]).name)


def _network(model: dict[str, Any]) -> str:
    backbone = model["backbone"]
    start = STARTS.get(backbone.get("weights"), "with pretrained weights")
    return f"{network_name(model) or without_markup(backbone['name'])} {start}"


def training_length(training: dict[str, Any]) -> str:
    return f"{training['epochs']} epochs" if training.get("epochs") else f"{training['steps']} steps"
