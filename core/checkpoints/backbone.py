"""Save the backbone of a trained network as a file of weights that other trainings can start from.

    python -m core.checkpoints.backbone CHECKPOINT WEIGHTS

Use it in place of ImageNet weights if there are none for a backbone, or if the photos look nothing like ImageNet:
train once on boxes, which are cheap, then set `model.backbone.weights` to the file.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from core.checkpoints.checkpoint import load_trained
from core.checkpoints.state import network_tensors
from core.compute.command import run_command
from core.files.tensors import write_torch_file


def write_trunk(checkpoint: Path, weights: Path) -> str:
    """Write the backbone's state dict under the names that `core.model.pretrained.load_weights` expects.

    Returns the name of the backbone.

    Raises:
        ValueError: if `checkpoint` is not a checkpoint of ours.
        OSError: if `weights` cannot be written.
    """
    config, state = load_trained(checkpoint, "cpu")
    name = config.model.backbone.name
    prefix = "backbone.trunk." if name.startswith("timm:") else "backbone."
    tensors = network_tensors(state, checkpoint)
    trunk = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    write_torch_file(weights, trunk)
    return name


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.checkpoints.backbone",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt written by core.train, or the one in store/KEY")
    parser.add_argument("weights", type=Path, help="file to write; set model.backbone.weights to it")
    return run_command(partial(run, parser.parse_args(arguments)))


def run(options: argparse.Namespace) -> None:
    name = write_trunk(options.checkpoint, options.weights)
    print(f"{options.weights}: backbone {name}")


if __name__ == "__main__":
    sys.exit(main())
