"""Mutated checkpoints, of ours and of other origin: resumed, and used for annotation, evaluation and as a backbone."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from core.checkpoints.backbone import write_trunk
from core.checkpoints.checkpoint import save_checkpoint
from core.checkpoints.network import load_checkpoint_network, load_network
from core.compute.compute import Compute
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.model.build import build_model
from core.model.pretrained import load_weights
from core.training.epoch import EpochProgress
from core.training.optimizer import build_optimizer
from core.training.resume import resume, state_of
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import flipped_bit, mutated_bytes, places
from tests.fuzz.outcome import ContentChanged
from tests.fuzz.values import VALUES

CLASSES = ["cat", "dog"]
EPOCHS = 3
IMAGES_PER_STEP = 4
SMALL = {"model": {"pyramid_channels": 16, "backbone": {"weights": None}}}
USES = ("resume", "annotate", "evaluate", "backbone")
TENSORS = (  # that stand where another is expected
    lambda: torch.zeros(()),
    lambda: torch.zeros(0),
    lambda: torch.full((3, 3), float("nan")),
    lambda: torch.zeros(2, 2, dtype=torch.int64),
    lambda: torch.zeros(2, dtype=torch.complex64),
    lambda: torch.zeros(3, 3).to_sparse(),
    lambda: torch.zeros(1).expand(10**9),
    lambda: torch.zeros(2, 2, device="meta"),
)


@dataclass(frozen=True)
class Loaded:
    model: torch.nn.Module | None
    damaged: bool  # by a change of bytes, which must be noticed


class Checkpoints(Kind):
    name = "checkpoints"
    count = 500

    def __init__(self, folder: Path) -> None:
        self.config = build_config(merge(load_recipe("tiny"), SMALL), "tiny")
        self.identity = {"config": self.config, "seed": 0, "data_digest": "0" * 16}
        torch.manual_seed(0)
        model = build_model(self.config.model, len(CLASSES))
        optimizer = build_optimizer(model, self.config.training)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        curves = [{"epoch": 1, "epochs": EPOCHS, "seconds": 1.5, "loss/total": 2.0}]
        self.state = state_of(model, optimizer, curves, CLASSES, [3, 7], IMAGES_PER_STEP, EpochProgress())
        folder.mkdir(parents=True)
        path = folder / "checkpoint.pt"
        save_checkpoint(path, self.state, **self.identity)
        self.file = path.read_bytes()
        write_trunk(path, folder / "trunk.pt")
        self.trunk = (folder / "trunk.pt").read_bytes()
        self.trunk_tensors = torch.load(folder / "trunk.pt", weights_only=True)
        self.use_of, self.damaged = "", False

    def write(self, draw: Random, folder: Path) -> Path:
        self.use_of = draw.choice(USES)
        path = folder / "checkpoint.pt"
        file = self.trunk if self.use_of == "backbone" else self.file
        match draw.choice(("flip", "bytes", "head", "state", "content", "trunk")):
            case "flip":
                path.write_bytes(flipped_bit(draw, file))
            case "bytes":
                path.write_bytes(mutated_bytes(draw, file))
            case "head":
                path.write_bytes(mutated_bytes(draw, file[:512]) + file[512:])
            case "state":  # written by us, with a state that does not fit
                save_checkpoint(path, self.mutated(draw, self.state), **self.identity)
                self.damaged = False
                return path
            case "content":
                content = torch.load(io.BytesIO(self.file), weights_only=True)
                torch.save(self.mutated(draw, content), path)
                self.damaged = False
                return path
            case _:
                content = torch.load(io.BytesIO(self.trunk), weights_only=True)
                torch.save(self.mutated(draw, content), path)
                self.damaged = False
                return path
        self.damaged = True
        return path

    def mutated(self, draw: Random, tree: dict[str, Any]) -> dict[str, Any]:
        """A copy with one or two values replaced, renamed or removed; tensors are not copied."""
        root = [copied(tree)]
        for _ in range(draw.choice((1, 1, 2))):
            found = places(root)[1:]  # what is written is a dict
            parent, key = draw.choice(found[: draw.choice((12, len(found)))])
            match draw.choice(("value", "value", "tensor", "drop", "name")):
                case "drop":
                    del parent[key]
                case "name" if isinstance(parent, dict):
                    parent[draw.choice((f"{key}.other", 7, "", None))] = parent.pop(key)
                case "tensor":
                    parent[key] = draw.choice(TENSORS)()
                case _:
                    parent[key] = draw.choice([value for value in VALUES if value != 10**400])
        return root[0]

    def read(self, path: Path) -> Loaded:
        model = None
        match self.use_of:
            case "resume":
                model = build_model(self.config.model, len(CLASSES))
                optimizer = build_optimizer(model, self.config.training)
                belonging = {"images_per_step": IMAGES_PER_STEP, "identity": self.identity}
                curves, _ = resume(path, model, optimizer, Compute("cpu"), epochs=EPOCHS, **belonging)
                if curves[-1]["seconds"] + 1.0 < 0 or len(curves) > EPOCHS:  # as the training loop reads them
                    raise ValueError(f"{path}: {len(curves)} epochs, expected at most {EPOCHS}")
                for parameter in model.parameters():
                    parameter.grad = torch.zeros_like(parameter)
                optimizer.step()
            case "annotate":
                model, _, classes = load_checkpoint_network(path, device="cpu")
                ", ".join(entry["name"] for entry in classes).encode()
            case "evaluate":
                model = load_network(path, self.config.model, CLASSES, device="cpu")
            case _:
                trunk = build_model(self.config.model, len(CLASSES)).backbone.trunk
                load_weights(trunk, str(path))
                return Loaded(None, self.damaged and not equal(trunk.state_dict(), self.trunk_tensors))
        return Loaded(model, self.damaged)

    def use(self, content: Loaded) -> None:
        if content.damaged:
            raise ContentChanged(f"a damaged file is taken by: {self.use_of}")
        if content.model is not None:
            with torch.no_grad():
                predictions = content.model.eval()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), [(64, 64)])
            if not all(torch.isfinite(values).all() for values in (predictions.class_logits, predictions.ltrb)):
                raise FloatingPointError("the network computes numbers that are not finite")


def equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(tensor, found[name]) for name, tensor in expected.items() if name in found)


def copied(tree: Any) -> Any:
    """A deep copy of the containers, with the same tensors."""
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple) and not isinstance(tree, Tensor):
        return [copied(value) for value in tree]
    return tree
