"""Our checkpoint format: one file with the state of a training, its config, seed and data digest.

Read with `weights_only=True`, so a file from elsewhere cannot run code; written beside its place and renamed, so
a killed process leaves the previous checkpoint whole.
"""

import os
from pathlib import Path
from typing import Any

import torch

from core.config import Config
from core.tensor_file import read_torch_file

FORMAT = 1


def _identity(config: Config, seed: int, data_digest: str) -> dict[str, Any]:
    """What a checkpoint belongs to; the recipe's name and the place of the data change no result and do not count."""
    settings = config.model_dump_json(exclude={"name": True, "data": {"root"}})
    return {"config": settings, "seed": seed, "data_digest": data_digest}


def save_checkpoint(path: Path, state: dict[str, Any], *, config: Config, seed: int, data_digest: str) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) and what it belongs to."""
    temporary = path.with_suffix(".partial")
    with temporary.open("wb") as file:
        torch.save({"format": FORMAT, **_identity(config, seed, data_digest), "state": state}, file)
        file.flush()
        os.fsync(file.fileno())  # else a power cut could leave the new name with old, empty blocks
    os.replace(temporary, path)


def load_checkpoint(path: Path, *, config: Config, seed: int, data_digest: str, device: str) -> dict[str, Any]:
    """State of a training that is to go on.

    Raises:
        ValueError: if the file is no checkpoint of ours or belongs to another config, seed or data set; says which.
    """
    try:
        content = _read(path, device)
    except ValueError as error:
        raise ValueError(f"{error}; delete it to start over") from error
    for name, value in _identity(config, seed, data_digest).items():
        if content[name] != value:
            raise ValueError(
                f"{path}: written for another {name}: found {content[name]!r}, expected {value!r}; "
                "delete it to start over"
            )
    return content["state"]


def load_trained(path: Path, device: str) -> tuple[Config, dict[str, Any]]:
    """Config and state of a checkpoint, whatever it was trained on, for use of its network.

    Raises:
        ValueError: if the file is no checkpoint of ours.
    """
    content = _read(path, device)
    return Config.model_validate_json(content["config"]), content["state"]


def _read(path: Path, device: str) -> dict[str, Any]:
    content = read_torch_file(path, device)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a checkpoint of format {FORMAT}")
    return content
