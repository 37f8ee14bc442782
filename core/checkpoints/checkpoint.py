"""Our checkpoint format: one file with the state of a training, its config, seed and data digest.

Read with `weights_only=True`, so a file from elsewhere cannot run code; written beside its place and renamed, so
a killed process leaves the previous checkpoint whole.
"""

import json
from pathlib import Path
from typing import Any

import torch

from core.config import Config
from core.config.file import build_config
from core.config.identity import differences, training_identity
from core.files.atomic import replaced
from core.files.tensors import read_torch_file

# In the folder of a training:
CHECKPOINT = "checkpoint.pt"
TEACHER = "teacher"  # the folder of the teacher's training, where there is one
FORMAT = 1
PARTS = ("config", "seed", "data_digest", "state")


def save_checkpoint(path: Path, state: dict[str, Any], *, config: Config, seed: int, data_digest: str) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) and what it belongs to (`training_identity`)."""
    identity = training_identity(config, seed, data_digest)
    identity["config"] = json.dumps(identity["config"])
    with replaced(path) as partial:
        torch.save({"format": FORMAT, **identity, "state": state}, partial)


def load_checkpoint(path: Path, *, config: Config, seed: int, data_digest: str, device: str) -> dict[str, Any]:
    """State of a training that is to go on.

    Raises:
        ValueError: if the file is no checkpoint of ours or belongs to another config, seed or data set; says which,
            and which settings differ.
    """
    try:
        content = _read(path, device)
        for name, expected in training_identity(config, seed, data_digest).items():
            found = content[name]
            if name == "config" and (different := differences(found, expected)):
                raise ValueError(f"{path}: written for another config: {', '.join(different)}")
            if found != expected:
                raise ValueError(f"{path}: written for another {name}: found {found!r}, expected {expected!r}")
    except ValueError as error:
        raise ValueError(f"{error}; delete it to start over") from error
    return content["state"]


def load_trained(path: Path, device: str) -> tuple[Config, dict[str, Any]]:
    """Config and state of a checkpoint, whatever it was trained on, for use of its network.

    The config is without what does not count for a checkpoint: name and places are the defaults.

    Raises:
        ValueError: if the file is no checkpoint of ours, or its config is none of this version's.
    """
    content = _read(path, device)
    return build_config(content["config"], f"{path}: config"), content["state"]


def _read(path: Path, device: str) -> dict[str, Any]:
    """The content of a checkpoint, its config as nested settings."""
    content = read_torch_file(path, device)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a checkpoint of format {FORMAT}")
    if missing := [name for name in PARTS if name not in content]:
        raise ValueError(f"{path}: a checkpoint without {', '.join(missing)}, expected {', '.join(PARTS)}")
    settings = _parsed(content["config"])
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: config is {content['config']!r:.60}, expected settings as JSON")
    if not isinstance(content["state"], dict):
        raise ValueError(f"{path}: state is {content['state']!r:.60}, expected tensors and numbers by name")
    return content | {"config": settings}


def _parsed(text: Any) -> Any:
    """The value that JSON text stands for; None for anything else."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
