"""Our checkpoint format: one file with the state of a training, its config, seed and data digest.

Checkpoints are read with `weights_only=True`, so that a file from elsewhere cannot run code. They are written to a
temporary file and renamed, so that a killed process leaves the previous checkpoint intact. Each ends in the SHA-256 of
all its bytes, which every reader checks: a damaged checkpoint is refused, by a resume as by an annotation. Checkpoints
without it (format 1, of earlier versions) are refused too.
"""

import json
from pathlib import Path
from typing import Any

from core.config import Config
from core.config.file import build_config
from core.config.identity import differences, training_identity
from core.files.sealed import is_sealed
from core.files.tensors import read_torch_file, write_torch_file

# In the folder of a training:
CHECKPOINT = "checkpoint.pt"
TEACHER = "teacher"  # folder of the teacher's training, if there is a teacher
FORMAT = 2
PARTS = ("config", "seed", "data_digest", "state")


def save_checkpoint(path: Path, state: dict[str, Any], *, config: Config, seed: int, data_digest: str) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) and its `training_identity`.

    Raises:
        OSError: if the file cannot be written, for a full disk or another reason; names it.
    """
    identity = training_identity(config, seed, data_digest)
    identity["config"] = json.dumps(identity["config"])
    write_torch_file(path, {"format": FORMAT, **identity, "state": state})


def load_checkpoint(path: Path, *, config: Config, seed: int, data_digest: str, device: str) -> dict[str, Any]:
    """Load the state of a training in order to resume it.

    Raises:
        ValueError: if the file is not a checkpoint of ours or belongs to another config, seed or data set; says which,
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
    """Load the config and state of a checkpoint in order to use its network, whatever data it was trained on.

    A checkpoint does not store the name of the recipe or the paths of files: these are the defaults of the config.

    Raises:
        ValueError: if the file is not a checkpoint of ours, or this version cannot read its config.
    """
    content = _read(path, device)
    return build_config(content["config"], f"{path}: config"), content["state"]


def _read(path: Path, device: str) -> dict[str, Any]:
    """The content of a checkpoint, with its config as nested settings."""
    content = read_torch_file(path, device)
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise ValueError(f"{path}: not a checkpoint of this program")
    if content["format"] == 1:
        raise ValueError(
            f"{path}: format 1, of an earlier version, has no SHA-256 that would show damage, expected format "
            f"{FORMAT}; train again, or use the version that wrote it"
        )
    if content["format"] != FORMAT:
        raise ValueError(f"{path}: expected a checkpoint of format {FORMAT}, found {content['format']!r:.20}")
    if not is_sealed(path):
        raise ValueError(f"{path}: damaged: the SHA-256 of its content is missing at its end")
    if missing := [name for name in PARTS if name not in content]:
        raise ValueError(f"{path}: checkpoint lacks {', '.join(missing)}, expected {', '.join(PARTS)}")
    settings = _parsed(content["config"])
    if not isinstance(content["seed"], int) or not isinstance(content["data_digest"], str):
        found = f"seed {content['seed']!r:.20} and data_digest {content['data_digest']!r:.20}"
        raise ValueError(f"{path}: {found}, expected an integer and text")
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: config is {content['config']!r:.60}, expected settings as JSON")
    if not isinstance(content["state"], dict):
        raise ValueError(f"{path}: state is {content['state']!r:.60}, expected a dict of tensors and numbers")
    return content | {"config": settings}


def _parsed(text: Any) -> Any:
    """The parsed value of JSON text; None for anything else."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
