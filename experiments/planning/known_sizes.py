"""The sizes of the networks of the sets that need no download, so that their first plan takes no torch.

`python -m experiments.planning.known_sizes` writes them anew, after a change of the network. A size is kept under all
that it depends on, the code of the network too, and looked up by nothing else; any other is found out with torch.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from core.compute.command import run_command
from core.config import Config, Frozen
from experiments.code_digest import ROOT, code_of
from experiments.params import load_params
from experiments.planning.remembered import Remembered
from experiments.settings import load_studies

KNOWN = Path(__file__).with_name("known_sizes.json")
SETS = ("shapes", "smoke")
NUM_MASKS = 64  # per image, the limit of BoxInst's sampling
COCO_CLASSES = 80  # assumed if there is no data to count them
NUM_CLASSES = (4, COCO_CLASSES)  # of these sets, with and without their data


class KnownSize(Frozen):
    """`NetworkSize` of a network, and the size (px) of the image that it is for."""

    parameters: int
    forward_flops: int | None
    height: int
    width: int


def size_of(config: Config, num_classes: int, known: Remembered) -> KnownSize:
    """The size of the network of a config; found out with torch where it is not known."""
    model = config.model.model_dump(mode="json")
    model["backbone"]["weights"] = None  # which change no size
    sides = [config.data.val_short_side, config.data.long_side_max]
    return known.fact(
        KnownSize, [model, sides, num_classes, NUM_MASKS, network_code()], lambda: _find_out(config, num_classes)
    )


@cache
def network_code() -> str:
    """Digest of the code of the network, with what it stands on, and of what measures it."""
    core = ROOT / "core"
    ground = (core / f"{name}.py" for name in ("structures", "geometry", "aligned_upsample"))
    paths = [*sorted((core / "model").glob("*.py")), *ground, Path(__file__).with_name("network_size.py")]
    return sha256("\0".join(code_of(path.read_text(encoding="utf-8")) for path in paths).encode()).hexdigest()[:16]


def _find_out(config: Config, num_classes: int) -> KnownSize:
    from core.checkpoints.network import without_weights  # these load torch, which takes seconds
    from experiments.planning.network_size import network_size, padded_size

    height, width = padded_size(config.data)
    size = network_size(without_weights(config.model), num_classes, height, width)
    return KnownSize(parameters=size.parameters, forward_flops=size.forward_flops, height=height, width=width)


def arms_of(set_name: str, params: Path = ROOT / "params.yaml") -> list[Config]:
    """The config of each arm of a set."""
    chosen = load_params(params, set_name)
    return [trial.config for study in load_studies(chosen.studies, chosen, str(params)) for trial in study.first_trials]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.planning.known_sizes",
        description=f"Write the sizes of the networks of the sets {' and '.join(SETS)} to {KNOWN.name}.",
    )
    parser.parse_args(words)

    def work() -> None:
        KNOWN.unlink(missing_ok=True)
        known = Remembered(KNOWN)
        for set_name in SETS:
            for config in arms_of(set_name):
                for num_classes in NUM_CLASSES:
                    size_of(config, num_classes, known)
        known.save()

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
