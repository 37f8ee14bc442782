"""The trunk of a network trained here, as a file of weights that other trainings start from.

    python -m core.checkpoints.backbone CHECKPOINT WEIGHTS

It takes the place of ImageNet weights where there are none for a trunk, or photos look nothing like ImageNet's: train
once on boxes, which are cheap, then name the file in `model.backbone.weights`.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

from core.checkpoints.checkpoint import load_trained
from core.compute.command import run_command
from core.files.atomic import replaced


def write_trunk(checkpoint: Path, weights: Path) -> str:
    """Write the trunk's state dict, by the names that `core.model.pretrained.load_weights` expects; the trunk's name.

    Raises:
        ValueError: if `checkpoint` is no checkpoint of ours.
        OSError: if `weights` cannot be written.
    """
    config, state = load_trained(checkpoint, "cpu")
    name = config.model.backbone.name
    prefix = "backbone.trunk." if name.startswith("timm:") else "backbone."
    trunk = {key.removeprefix(prefix): value for key, value in state["model"].items() if key.startswith(prefix)}
    with replaced(weights) as partial:
        torch.save(trunk, partial)
    return name


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.checkpoints.backbone",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt of core.train, or below store/KEY")
    parser.add_argument("weights", type=Path, help="file to write, for model.backbone.weights")
    return run_command(partial(run, parser.parse_args(arguments)))


def run(options: argparse.Namespace) -> None:
    name = write_trunk(options.checkpoint, options.weights)
    print(f"{options.weights}: the trunk {name}")


if __name__ == "__main__":
    sys.exit(main())
