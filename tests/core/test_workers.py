"""Two processes of gloo on this machine: what they count together, and that they train as one with twice the batch."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import multiprocessing, nn

from core.config import Config
from core.config_file import build_config
from core.datasets.coco import load_training_set
from core.epoch import epoch_batches, total_steps
from core.model.condinst import CondInst, build_model
from core.optimizer import build_optimizer
from core.training import train
from core.training_step import train_step
from core.workers import ALONE, Workers, torchrun_workers
from tests.core.test_training import root, tiny

__all__ = ["root"]  # a fixture

RELATIVE = 1e-5  # float32 sums of the same numbers in another order, over a few steps
STEPS = 5


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def in_two_processes(target: Callable, *arguments) -> None:
    multiprocessing.spawn(_process, (free_port(), target, arguments), nprocs=2)


def _process(rank: int, port: int, target: Callable, arguments: tuple) -> None:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"WORLD_SIZE": 2, "RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port}.items():
            patch.setenv(name, str(value))
        patch.setenv("MASTER_ADDR", "127.0.0.1")
        with torchrun_workers("cpu") as (workers, device):
            target(workers, device, *arguments)


def build(config: Config, num_classes: int) -> CondInst:
    torch.manual_seed(0)
    model = build_model(config.model, num_classes).train()
    for module in model.modules():  # each worker's batch norm sees its own images: statistics of the batch would differ
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def first_steps(config: Config, workers: Workers) -> dict[str, float]:
    """Each loss term of each of the first steps, its mean over the batches of the step that this worker had."""
    dataset = load_training_set(config.data, config.supervision, 0)
    model = build(config, dataset.num_classes)
    optimizer = build_optimizer(model, config.training)
    steps = total_steps(config.training, len(dataset), workers.count)
    values = {}
    step, epoch = 0, 0
    while step < STEPS:
        dataset.set_epoch(epoch)
        batches = list(
            epoch_batches(dataset, config.training, seed=0, epoch=epoch, workers=workers, loader_processes=0)
        )
        for i in range(0, len(batches), config.training.accumulation):
            of_step = batches[i : i + config.training.accumulation]
            losses_of = train_step(model, optimizer, of_step, config, step=step, steps=steps, seed=0, workers=workers)
            for name in losses_of[0].weighted:
                values[f"{step} {name}"] = sum(losses.weighted[name].item() for losses in losses_of) / len(losses_of)
            step += 1
        epoch += 1
    return {name: value for name, value in values.items() if int(name.split()[0]) < STEPS}


def write_first_steps(workers: Workers, device: str, settings: str, folder: Path) -> None:
    config = build_config(json.loads(settings), "test")
    (folder / f"{workers.rank}.json").write_text(json.dumps(first_steps(config, workers)))


@pytest.mark.parametrize("mask_ratio", [0.0, 0.5, 1.0])
def test_two_workers_of_two_images_train_as_one_of_four(root: Path, tmp_path: Path, mask_ratio: float) -> None:
    shared = {"supervision": {"mask_ratio": mask_ratio}, "loss": {"pairwise_warmup": 0.1}}
    training = {"epochs": 12, "optimizer": "sgd", "learning_rate": 0.01, "schedule": "step", "warmup_steps": 0}
    alone = first_steps(tiny(root, training=training | {"batch_size": 4}, **shared), ALONE)
    together = tiny(root, training=training | {"batch_size": 2}, **shared).model_dump_json()
    in_two_processes(write_first_steps, together, tmp_path)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert {name: (first[name] + second[name]) / 2 for name in alone} == pytest.approx(alone, rel=RELATIVE)
    assert any(first[name] != second[name] for name in alone)  # each had images of its own


def counted_together(workers: Workers, device: str, folder: Path) -> None:
    mean = workers.mean(torch.tensor(float(workers.rank + 1)))
    layer = nn.Linear(2, 1)
    if workers.rank == 0:  # the other worker's batch had no part in the loss
        layer(torch.tensor([[3.0, 5.0]])).backward()
    workers.average_gradients(layer)
    with torch.no_grad():
        layer.weight.fill_(workers.rank)
    workers.copy_from_first(layer)
    content = [float(mean), layer.weight.grad.tolist(), layer.weight.tolist(), workers.gather(workers.rank)]
    (folder / f"{workers.rank}.json").write_text(json.dumps(content))


def test_means_gradients_and_weights_are_those_of_all_workers(tmp_path: Path) -> None:
    in_two_processes(counted_together, tmp_path)
    for rank in range(2):
        # mean of 1 and 2; half of the gradient (3, 5) and half of none; the first worker's weights; both ranks
        expected = [1.5, [[1.5, 2.5]], [[0.0, 0.0]], [0, 1]]
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == expected


def train_together(workers: Workers, device: str, settings: str, folder: Path) -> None:
    config = build_config(json.loads(settings), "test")
    epochs = []
    result = train(
        config, 0, device=device, folder=folder / "run", workers=workers, on_epoch=epochs.append, progress=False
    )
    content = [result.evaluation.metrics["box_AP"], len(result.evaluation.box_results), len(epochs)]
    (folder / f"{workers.rank}.json").write_text(json.dumps(content))


def test_a_whole_training_evaluates_in_shares_and_only_the_first_worker_writes_and_reports(
    root: Path, tmp_path: Path
) -> None:
    settings = tiny(root, training={"epochs": 2, "batch_size": 1}, inference={"score_threshold": 0.0}).model_dump_json()
    in_two_processes(train_together, settings, tmp_path)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first[:2] == second[:2]  # the evaluation of all images, on both
    assert first[1] > 0
    assert (first[2], second[2]) == (2, 0)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint.pt"]
    with pytest.raises(ValueError, match="written with 2 images a step, expected 1"):
        train(build_config(json.loads(settings), "test"), 0, folder=tmp_path / "run", progress=False)


def test_without_torchrun_there_is_one_worker() -> None:
    with torchrun_workers("cpu") as (workers, device):
        assert (workers, device) == (ALONE, "cpu")
    value = torch.tensor(3.0)
    assert ALONE.mean(value) is value
    assert ALONE.gather("item") == ["item"]
