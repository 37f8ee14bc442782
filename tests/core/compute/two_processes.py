"""What two processes of gloo on this machine do; they are started once, and leave what they found as JSON."""

import json
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing, nn

from core.compute.compute import Compute
from core.compute.workers import ALONE, Workers, torchrun_workers
from core.config import Config
from core.datasets import digest
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset, load_training_set, read_training_file, read_validation_file
from core.datasets.sources.shapes import generate
from core.pseudo_masks.ema_teacher import EmaTeacher
from core.pseudo_masks.grabcut import PSEUDO_MASKS
from core.pseudo_masks.teacher import teacher_masks
from core.training import loop as training
from core.training.effective_batch import total_steps
from core.training.epoch import run_epoch
from core.training.loop import TrainingResult, train
from core.training.optimizer import build_optimizer
from core.training.step import BatchLosses, train_step
from tests.core.compute.batches import build, each_worker, loaded, terms
from tests.core.training.tiny_training import tiny

STEPS = 3
MASK_RATIOS = (0.0, 0.5, 1.0)


def by_steps(root: Path, mask_ratio: float, batch_size: int) -> Config:
    schedule = {"epochs": 12, "optimizer": "sgd", "learning_rate": 0.01, "schedule": "step", "warmup_steps": 0}
    return tiny(
        root,
        training=schedule | {"batch_size": batch_size},
        supervision={"mask_ratio": mask_ratio},
        loss={"pairwise_warmup": 0.1},
    )


def first_steps(config: Config, workers: Workers) -> dict[str, float]:
    """Each loss term of each of the first steps, its mean over the batches of the step that this worker had."""
    dataset = load_training_set(config.data, config.supervision, 0)
    model = build(config, dataset.num_classes)
    optimizer = build_optimizer(model, config.training)
    batch_losses = workers.parallel(BatchLosses(model, config))
    steps = total_steps(config.training, len(dataset), workers.count)
    values = {}
    step, epoch = 0, 0
    while step < STEPS:
        batches = loaded(dataset, config, workers, epoch)
        for i in range(0, len(batches), config.training.accumulation):
            of_step = batches[i : i + config.training.accumulation]
            rest = {"steps": steps, "seed": 0, "workers": workers, "batch_losses": batch_losses}
            losses_of = train_step(model, optimizer, of_step, config, step=step, **rest)
            for name in losses_of[0].weighted:
                values[f"{step} {name}"] = sum(losses.weighted[name].item() for losses in losses_of) / len(losses_of)
            step += 1
        epoch += 1
    return {name: value for name, value in values.items() if int(name.split()[0]) < STEPS}


def steps_together(workers: Workers, device: str, root: Path, folder: Path) -> dict[str, dict[str, float]]:
    return {str(ratio): first_steps(by_steps(root, ratio, batch_size=2), workers) for ratio in MASK_RATIOS}


def one_batch_each(workers: Workers, device: str, root: Path, folder: Path) -> list[dict[str, float]]:
    """Terms of this worker's first batch, scored together and as if it were alone."""
    config = each_worker(root)
    dataset = load_training_set(config.data, config.supervision, 0)
    model = build(config, dataset.num_classes)
    batch = loaded(dataset, config, workers)[0]
    return [terms(model, batch, config, who) for who in (workers, ALONE)]


class _Pair(nn.Module):
    """Two layers, of which each call uses one."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, values: Tensor, *, first: bool) -> Tensor:
        return (self.first if first else self.second)(values)


def counted_together(workers: Workers, device: str, root: Path, folder: Path) -> list[Any]:
    mean = workers.mean(torch.tensor(float(workers.rank + 1)))
    layer = nn.Linear(2, 1)
    both = workers.parallel(_Pair(layer, nn.Linear(2, 1)))
    both(torch.tensor([[3.0, 5.0]]), first=workers.rank == 0).sum().backward()  # of rank 1, the layer has no part in it
    with torch.no_grad():
        layer.weight.fill_(workers.rank)
    workers.copy_from_first(layer)
    return [float(mean), layer.weight.grad.tolist(), layer.weight.tolist(), workers.gather(workers.rank)]


def told_once(workers: Workers, device: str, root: Path, folder: Path) -> list[bool]:
    return [workers.first_to_print("no such file"), workers.first_to_print(f"image {workers.rank}")]


def files_of(root: Path) -> tuple[AnnotationFile, AnnotationFile]:
    data = tiny(root).data
    return read_training_file(data), read_validation_file(data)


def digest_in_shares(workers: Workers, device: str, root: Path, folder: Path) -> dict[str, Any]:
    read, original = [], digest._digest_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest, "_digest_of", lambda file, image: read.append(image.file_name) or original(file, image))
        return {"digest": digest.data_digest(*files_of(root), workers), "read": read}


def student(root: Path) -> Config:
    return tiny(
        root,
        supervision={"pseudo_masks": "teacher"},
        training={"epochs": 2, "batch_size": 1, "evaluate_every": None},
        inference={"score_threshold": 0.0},
    )


def train_together(workers: Workers, device: str, root: Path, folder: Path) -> dict[str, Any]:
    """A whole training, with a teacher before it."""
    epochs, shares = [], []

    def counted(model: nn.Module, dataset: CocoDataset, *arguments: Any, **settings: Any) -> dict[int, dict]:
        shares.append(dataset.image_ids)
        return teacher_masks(model, dataset, *arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "teacher_masks", counted)
        result = train(student(root), 0, Compute(device, workers), folder=folder, on_epoch=epochs.append)
    found = result.evaluation
    return {
        "curves": without_seconds(result),
        "metrics": found.metrics,
        "box_results": found.box_results,
        "mask_results": found.mask_results,
        "epochs": len(epochs),
        "shares": shares,
    }


def resume_together(workers: Workers, device: str, root: Path, folder: Path) -> dict[str, Any]:
    """The same training on the same masks, killed in its second epoch and started again."""
    killed = folder.with_name("killed")
    if workers.writes:
        killed.mkdir()
        shutil.copy(folder / PSEUDO_MASKS, killed)
    workers.gather(None)  # until it is there
    result = killed_and_resumed(student(root), Compute(device, workers), killed)
    return {"curves": without_seconds(result), "metrics": result.evaluation.metrics}


def killed_and_resumed(config: Config, compute: Compute, folder: Path) -> TrainingResult:
    def kill(*arguments: Any, epoch: int, **others: Any) -> dict[str, Any]:
        if epoch == 1:
            raise KeyboardInterrupt
        return run_epoch(*arguments, epoch=epoch, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "run_epoch", kill)
        with pytest.raises(KeyboardInterrupt):
            train(config, 0, compute, folder=folder)
    return train(config, 0, compute, folder=folder)


def follow_together(workers: Workers, device: str, root: Path, folder: Path) -> list[Any]:
    """A training that learns from a moving average in its second epoch, whole and killed before it; the averages."""
    config = tiny(
        root,
        supervision={"ema_teacher": {"start": 0.5}},
        loss={"dice": 0, "ema_masks": 1.0},
        training={"epochs": 2, "batch_size": 1, "evaluate_every": None},
    )
    teachers, original = [], EmaTeacher.of
    compute = Compute(device, workers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmaTeacher, "of", lambda *arguments: teachers.append(original(*arguments)) or teachers[-1])
        whole = train(config, 0, compute, folder=folder.with_name("followed"))
        resumed = killed_and_resumed(config, compute, folder.with_name("followed_again"))
    sums = [{n: float(t.double().sum()) for n, t in teacher.model.state_dict().items()} for teacher in teachers]
    return [without_seconds(whole), without_seconds(resumed), sums[0], sums[-1]]


def without_seconds(result: TrainingResult) -> list[dict[str, Any]]:
    return [{name: value for name, value in numbers.items() if name != "seconds"} for numbers in result.curves]


SCENARIOS = (
    steps_together,
    one_batch_each,
    counted_together,
    told_once,
    digest_in_shares,
    train_together,
    resume_together,
    follow_together,
)


@dataclass(frozen=True)
class Together:
    root: Path  # of the data
    folder: Path  # of the training of `train_together`
    found: list[dict[str, Any]]  # by rank and scenario

    def of(self, scenario: Callable) -> list[Any]:
        """What each process found in a scenario."""
        return [of_rank[scenario.__name__] for of_rank in self.found]


def run_two(folder: Path) -> Together:
    """Start two processes and wait until both have done all scenarios on a generated data set."""
    generate(folder / "shapes", {"train": 6, "val": 3}, seed=7, size=96)
    multiprocessing.spawn(_process, (free_port(), folder), nprocs=2)
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    return Together(folder / "shapes", folder / "run", found)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _process(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"WORLD_SIZE": 2, "RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port}.items():
            patch.setenv(name, str(value))
        patch.setenv("MASTER_ADDR", "127.0.0.1")
        with torchrun_workers("cpu") as (workers, device):
            found = {each.__name__: each(workers, device, folder / "shapes", folder / "run") for each in SCENARIOS}
    (folder / f"{rank}.json").write_text(json.dumps(found))
