"""Trials that take no time: a stand-in for training, and records as a finished trial leaves them."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.checkpoints.checkpoint import save_checkpoint
from core.compute.compute import Compute
from core.config import Config
from core.config.file import build_config
from core.datasets.sources.shapes import generate
from core.pseudo_masks.grabcut import PSEUDO_MASKS
from core.record import Record
from experiments import trial as trial_module
from experiments.jobs import Job, list_jobs
from experiments.provenance import Provenance, current_code
from experiments.store import Store
from experiments.study import Study, load_study

BASE = {
    "name": "tiny",
    "data": {
        "train_images": "train",
        "train_annotations": "instances_train.json",
        "val_images": "val",
        "val_annotations": "instances_val.json",
        "short_sides": [64],
        "val_short_side": 64,
        "long_side_max": 64,
    },
    "model": {
        "backbone": {"name": "resnet18", "norm": "trained", "stride_in_1x1": False},
        "levels": [3, 4, 5],
        "pyramid_channels": 16,
        "head_convs": 1,
        "head_groups": 4,
        "mask_branch_channels": 16,
        "mask_branch_convs": 1,
    },
    "assignment": {"size_boundaries": [48, 96]},
    "training": {"steps": None, "epochs": 2, "batch_size": 4, "optimizer": "adamw", "learning_rate": 1e-3},
    "inference": {"max_detections": 5},
}
ARMS = "question: q\nsource: s\nexpectation: a < b\nreference_arm: b\narms: {a: {loss.dice: 0}, b: {loss.dice: 2}}\n"


def write_params(folder: Path, *, recipe: str = "shapes", studies: str = "[loss_terms]", rest: str = "") -> Path:
    """A params.yaml whose set `mine` has this recipe and these studies; its data would be at datasets/mine."""
    sets = folder / "experiments" / "sets"
    sets.mkdir(parents=True, exist_ok=True)
    (sets / "mine.yaml").write_text(f"recipe: {recipe}\nstudies: {studies}\n")
    path = folder / "params.yaml"
    path.write_text(f"set: mine\n{rest}\n")
    return path


@pytest.fixture
def made_from() -> Provenance:
    return Provenance(current_code(), {"torch": "2", "torchvision": "0"}, "abc", git_dirty=False)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 8 training and 7 validation images of 96x96."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    generate(folder, {"train": 8, "val": 7}, seed=3, size=96)
    return folder


def study_of(text: str, name: str, shapes: Path, folder: Path) -> Study:
    """The study with this text, written to `folder`, on the images in `shapes`; one seed."""
    (folder / f"{name}.yaml").write_text(text)
    return load_study(name, BASE | {"data": BASE["data"] | {"root": str(shapes)}}, (0,), folder)


def as_recorded(epochs: list[dict[str, float]]) -> list[dict[str, float | None]]:
    """Numbers of epochs as the curves of a record hold them: None for what is not finite."""
    return [{k: v if math.isfinite(v) else None for k, v in numbers.items()} for numbers in epochs]


@pytest.fixture
def study(shapes: Path, tmp_path: Path) -> Study:
    """Two arms, `a` and `b`, with one seed."""
    return study_of(ARMS, "pair", shapes, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def jobs(study: Study, made_from: Provenance) -> list[Job]:
    """The jobs of `study`."""
    return list_jobs(study, made_from)


def failing(study: Study) -> Study:
    """The study with a first arm whose training, if it is `fake_training`, raises."""
    trial = study.trials[0]
    loss = trial.config.loss.model_copy(update={"dice": 3.0})
    broken = replace(trial, config=trial.config.model_copy(update={"loss": loss}))
    return replace(study, trials=(broken, *study.trials[1:]))


@pytest.fixture
def config(shapes: Path) -> Config:
    return build_config(BASE | {"data": BASE["data"] | {"root": str(shapes)}}, "tiny")


@pytest.fixture
def record_of() -> Callable[[Job], Record]:
    """The record of a job before it runs, status `ok`."""

    def describe(job: Job) -> Record:
        return trial_module.describe_trial(
            job.trial, key=job.key, data_digest=job.data_digest, provenance=job.provenance
        )

    return describe


@pytest.fixture
def fake_training(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace training by two epochs of made-up numbers; the list gets the seed of each call.

    Arms with a Dice weight of 3 raise after the first epoch.
    """
    calls: list[str] = []

    def train(
        config: Config,
        seed: int,
        compute: Compute,
        *,
        folder: Path,
        digest: str,
        on_epoch,
    ) -> SimpleNamespace:
        calls.append(f"{config.loss.dice:g}")
        curves = []
        for epoch in (1, 2):
            numbers = {"epoch": epoch, "epochs": 2, "seconds": 0.5 * epoch, "loss/total": 1.0 / epoch}
            curves.append(numbers | {"pairwise_warmup": 0.5, "edges_kept": 0.3, "learning_rate": 1e-3})
            on_epoch(curves[-1])
            if config.loss.dice == 3:
                raise FloatingPointError("step 7: loss dice is not finite")
        state = {"model": {}, "optimizer": {}, "ema_teacher": {}, "curves": curves}
        identity = {"config": config, "seed": seed, "data_digest": digest}
        folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(folder / "checkpoint.pt", state, **identity)
        if config.supervision.makes_masks:
            (folder / PSEUDO_MASKS).write_text('{"annotations": []}')  # no instance gets one
        metrics = {"mask_AP": 10.0 * config.loss.dice, "mask_APl": float("nan"), "box_AP": 1 / 3}
        evaluation = SimpleNamespace(metrics=metrics, per_class={"star": 1.0}, box_results=[], mask_results=[])
        counts = {"num_train_images": 8, "num_train_instances": 20}
        return SimpleNamespace(evaluation=evaluation, curves=curves, seconds=1.0, peak_memory_mb=2.0, **counts)

    monkeypatch.setattr(trial_module, "train", train)
    return calls
