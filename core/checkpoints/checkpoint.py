"""Our checkpoint format: one file with the state of a training, its config, seed and data digest.

Checkpoints are read with `weights_only=True`, so that a file from elsewhere cannot run code. They are written to a
temporary file and renamed, so that a killed process leaves the previous checkpoint intact. Each ends in the SHA-256 of
all its bytes, which every reader checks: a damaged checkpoint is refused, by a resume as by an annotation. Checkpoints
without it (format 1, of earlier versions) are refused too.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.config import Config, TrainingConfig
from core.config.dotted import leaves
from core.config.file import build_config
from core.config.identity import differences, training_identity
from core.files.sealed import is_sealed
from core.files.tensors import read_torch_file, write_torch_file

# In the folder of a training:
CHECKPOINT = "checkpoint.pt"
TEACHER = "teacher"  # folder of the teacher's training, if there is a teacher
FORMAT = 2
PARTS = ("config", "seed", "data_digest", "state")
LENGTH = ("training.steps", "training.epochs")


class OtherLengthError(ValueError):
    """A training that differs from the one of a checkpoint in nothing but its length, on which its schedule depends."""

    def __init__(self, path: Path, found: TrainingConfig, expected: TrainingConfig) -> None:
        self.path, self.found, self.expected = path, found, expected
        super().__init__(
            f"{path}: of a training of {length(found)}, expected {length(expected)}. Learning rate and warm-ups depend "
            "on the length from the first step on: the training cannot be made longer or shorter"
        )


def length(training: TrainingConfig) -> str:
    """The length of a training as its settings state it: `80 epochs`, `90000 steps`."""
    number, unit = (training.steps, "step") if training.epochs is None else (training.epochs, "epoch")
    return f"{number} {unit}" + ("s" if number != 1 else "")


def save_checkpoint(
    path: Path, state: dict[str, Any], *, config: Config, seed: int, data_digest: str, start: str | None = None
) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) and its `training_identity`.

    `start` is the digest of the checkpoint that the training started from; None: from no checkpoint.

    Raises:
        OSError: if the file cannot be written, for a full disk or another reason; names it.
    """
    identity = training_identity(config, seed, data_digest)
    identity["config"] = json.dumps(identity["config"])
    started = {} if start is None else {"start": start}
    write_torch_file(path, {"format": FORMAT, **identity, **started, "state": state})


def load_checkpoint(
    path: Path,
    *,
    config: Config,
    seed: int,
    data_digest: str,
    start: str | None = None,
    device: str,
    continues: Callable[[TrainingConfig, dict[str, Any]], bool] = lambda training, state: False,
) -> dict[str, Any]:
    """Load the state of a training in order to resume it.

    If it differs in nothing but its length, `continues` is called with its settings and its state: whether this
    training continues it all the same.

    Raises:
        ValueError: if the file is not a checkpoint of ours or belongs to another config, seed, data set or `start`;
            says which, and which settings differ.
        OtherLengthError: if it belongs to a training of another length that this one does not continue.
    """
    identity = training_identity(config, seed, data_digest)
    try:
        content = _read(path, device)
        if problem := _start_problem(content.get("start"), start):
            raise ValueError(f"{path}: {problem}")
        different = differences(content["config"], identity["config"])
        if different and _without_length(content["config"]) != _without_length(identity["config"]):
            raise ValueError(f"{path}: written for another config: {', '.join(different)}")
        for name in ("seed", "data_digest"):
            if content[name] != identity[name]:
                found, expected = content[name], identity[name]
                raise ValueError(f"{path}: written for another {name}: found {found!r}, expected {expected!r}")
        training = build_config(content["config"], f"{path}: config").training if different else config.training
    except ValueError as error:
        raise ValueError(f"{error}; delete it to start over") from error
    if different and not continues(training, content["state"]):
        raise OtherLengthError(path, training, config.training)
    return content["state"]


def _without_length(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in leaves(settings).items() if name not in LENGTH}


def _start_problem(found: Any, expected: str | None) -> str | None:
    """What is wrong if a training started from `found` and goes on from `expected`, both digests; None: nothing."""
    if found == expected:
        return None
    if found is None:
        return (
            "this training did not start from a checkpoint; --from starts a new one, expected another --folder for it, "
            "or no --from in order to go on"
        )
    if expected is None:
        return f"this training started from a checkpoint (SHA-256 {found!s:.16}...), expected the same --from"
    hashes = f"its SHA-256 is {expected}..., expected {found!s:.16}..."
    return f"this training started from another checkpoint than --from: {hashes}"


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
