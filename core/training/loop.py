"""A training: epochs, evaluation, checkpoint and exact resume, alone or beside the other workers of `torchrun`.

Everything random is a function of (seed, epoch, image), and everything scheduled of the step, so a training that
was killed and resumed ends, on a CPU, equal to the bit to one that was not. CUDA's scatter and interpolation
kernels add in no fixed order: there, equal runs agree closely but not to the bit.
"""

import logging
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.checkpoints.checkpoint import CHECKPOINT, TEACHER, load_checkpoint, save_checkpoint
from core.compute.device import peak_memory_mb
from core.compute.workers import ALONE, Workers
from core.config import Config
from core.config.identity import pseudo_mask_identity
from core.datasets.annotation_file import read_truth
from core.datasets.coco import CocoDataset, load_training_set, load_validation_set
from core.datasets.digest import data_digest
from core.datasets.supervision import first_phase
from core.evaluation.evaluate import Evaluation, evaluate
from core.files.imagenet_weights import with_weights
from core.model.build import build_model
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn
from core.pseudo_masks.grabcut import PSEUDO_MASKS, grabcut_masks, with_pseudo_masks, write_pseudo_masks
from core.pseudo_masks.teacher import teacher_masks, without_pseudo_masks
from core.training.effective_batch import describe_schedule, effective_batch, scale_to_batch
from core.training.epoch import boxes_only_epochs, run_epoch, steps_per_epoch, total_steps
from core.training.optimizer import build_optimizer
from core.training.preconditions import check_same_categories, check_something_to_learn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """A finished training: the network, its final evaluation and one dict of named numbers per epoch."""

    model: CondInst | MaskRcnn
    evaluation: Evaluation
    curves: list[dict[str, float | int]]
    seconds: float  # of training and evaluation, pseudo masks and their teacher, runs before a resume included
    peak_memory_mb: float  # of the process on a CPU, of the allocator on CUDA
    num_train_images: int  # that were used, with boxes or masks
    num_train_instances: int  # in them


def train(
    config: Config,
    seed: int,
    *,
    device: str = "cpu",
    folder: Path,
    digest: str | None = None,
    on_epoch: Callable[[dict[str, float | int]], None] | None = None,
    workers: Workers = ALONE,
    loader_processes: int = 0,
    progress: bool = True,
) -> TrainingResult:
    """Train by `config` and evaluate; a checkpoint in `folder` is gone on from, else training starts there.

    Learning rate, steps and warm-ups are scaled to the effective batch (`scale_to_batch`); the line that says so is
    logged. Pseudo masks, where the config asks for them, are made first and kept in `folder` (`mask_every_instance`).
    The checkpoint belongs to what this `digest` is of, by default the data (`data_digest` reads every image) and the
    file of weights that the trunk starts from (`with_weights`).
    `on_epoch` gets one dict per finished epoch, those before a resume included: epoch (from 1), epochs, step,
    learning_rate, pairwise_warmup, edges_kept, seconds, `loss/<term>` (weighted) and `loss/<term>_unweighted` as
    means over the epoch, and the metrics where the epoch ended with an evaluation.

    Of several workers each calls this with the same arguments but its `device`; rank 0 writes and reports. Batch norm
    keeps the statistics of each worker's own images (AdelaiDet), and those of rank 0 are evaluated and kept.

    Raises:
        ValueError: for data or a checkpoint that do not fit the config.
        FloatingPointError: if a loss is not finite; names the term.
    """
    training_set, validation_set = load_data(config, seed)
    stated, config = config, config.model_copy(update={"training": scale_to_batch(config.training, workers.count)})
    images_per_step = effective_batch(config.training, workers.count)
    steps = total_steps(config.training, len(training_set), workers.count)
    epochs = -(-steps // steps_per_epoch(len(training_set), images_per_step))
    num_boxes_only = boxes_only_epochs(config.supervision.boxes_first, epochs)
    digest = digest or with_weights(data_digest(config.data, workers), config.model.backbone.weights)
    process = {"device": device, "workers": workers, "loader_processes": loader_processes, "progress": progress}
    seconds_of_masks = 0.0
    if config.supervision.pseudo_masks is not None:
        training_set, seconds_of_masks = mask_every_instance(
            training_set, stated, seed, folder=folder, digest=digest, **process
        )
    identity = {"config": stated, "seed": seed, "data_digest": digest}
    first_set = (
        load_training_set(config.data, first_phase(config.supervision), seed) if num_boxes_only else training_set
    )
    if workers.writes:
        log.info(describe_schedule(config.training, workers.count, steps, round(config.loss.pairwise_warmup * steps)))
        folder.mkdir(parents=True, exist_ok=True)

    model = initial_model(config, training_set.num_classes, seed, device=device, workers=workers)
    optimizer = build_optimizer(model, config.training)
    checkpoint = folder / CHECKPOINT
    belonging = {"images_per_step": images_per_step, "identity": identity}
    curves = resume(checkpoint, model, optimizer, epochs=epochs, **belonging, **process)
    report = on_epoch if on_epoch is not None and workers.writes else (lambda numbers: None)
    for numbers in curves:
        report(numbers)

    evaluation = None
    for epoch in range(len(curves), epochs):
        started = time.perf_counter()
        dataset = first_set if epoch < num_boxes_only else training_set
        numbers = run_epoch(model, optimizer, dataset, config, epoch=epoch, steps=steps, seed=seed, **process)
        every = config.training.evaluate_every
        last = epoch + 1 == epochs
        if last or (every and (epoch + 1) % every == 0):
            evaluation = evaluate_model(model, validation_set, config, **process)
            numbers |= evaluation.metrics
        seconds = time.perf_counter() - started + (curves[-1]["seconds"] if curves else 0.0)
        curves.append({"epoch": epoch + 1, "epochs": epochs, "seconds": seconds} | numbers)
        if workers.writes:
            state = state_of(model, optimizer, curves, training_set.categories, images_per_step)
            save_checkpoint(checkpoint, state, **identity)
        report(curves[-1])
    if evaluation is None:  # resumed after the last epoch
        evaluation = evaluate_model(model, validation_set, config, **process)
    seconds = curves[-1]["seconds"] + seconds_of_masks
    num_images, num_instances = len(first_set.records), sum(len(record.labels) for record in first_set.records)
    return TrainingResult(model, evaluation, curves, seconds, peak_memory_mb(device), num_images, num_instances)


def load_data(config: Config, seed: int) -> tuple[CocoDataset, CocoDataset]:
    """Training and validation set, both found fit for what the config asks for.

    Raises:
        ValueError: for data that makes no sense, or cannot teach what the config asks for.
    """
    training_set = load_training_set(config.data, config.supervision, seed, semantic_labels=config.model.semantic_head)
    validation_set = load_validation_set(config.data)
    check_same_categories(training_set, validation_set)
    check_something_to_learn(training_set, config)
    read_truth(validation_set.annotation_path)  # what evaluation would refuse, it refuses now
    return training_set, validation_set


def initial_model(config: Config, num_classes: int, seed: int, *, device: str, workers: Workers) -> CondInst | MaskRcnn:
    """The network as `seed` starts it, on its device; the same on every worker."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config.model, num_classes)
    if workers.count > 1 and torch.device(device).type == "cuda" and config.model.pyramid == "bifpn":
        model.pyramid = nn.SyncBatchNorm.convert_sync_batchnorm(model.pyramid)  # AdelaiDet; there is none for the CPU
    return model.to(device, memory_format=torch.channels_last)


def state_of(
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    curves: list[dict[str, float | int]],
    categories: list[str],
    images_per_step: int,
) -> dict[str, Any]:
    """What a checkpoint holds: all that `resume` needs to go on, and the class names, for use of the network."""
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "curves": curves,
        "categories": categories,
        "images_per_step": images_per_step,
    }


def resume(
    checkpoint: Path,
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    images_per_step: int,
    identity: dict[str, Any],
    device: str,
    workers: Workers,
    **process: Any,
) -> list[dict[str, float | int]]:
    """Bring network and optimizer to where a checkpoint left them; the numbers of the epochs that lie behind.

    Without a checkpoint nothing changes, and there are none. `identity` and `images_per_step` are what it must have.

    Raises:
        ValueError: if the checkpoint belongs to another training, or to another number of images a step.
    """
    if not workers.gather(checkpoint.exists())[0]:
        return []
    state = load_checkpoint(checkpoint, device=device, **identity)
    if state["images_per_step"] != images_per_step:
        raise ValueError(
            f"{checkpoint}: written with {state['images_per_step']} images a step, expected {images_per_step} "
            "(batch_size x accumulation x workers); delete it to start over"
        )
    model.load_state_dict(state["model"])
    if len(state["curves"]) < epochs:  # a finished training may have dropped it
        optimizer.load_state_dict(state["optimizer"])
    return state["curves"]


def mask_every_instance(
    training_set: CocoDataset, config: Config, seed: int, *, folder: Path, digest: str, **process: Any
) -> tuple[CocoDataset, float]:
    """The training set with pseudo masks where it has none, and the seconds that they took, their teacher's included.

    They are made once, by each worker for its share of the images, and kept in `folder`. A teacher is trained in
    `folder/teacher` as any other network is, so that it goes on from its checkpoint; it reports no epoch.
    """
    path, workers = folder / PSEUDO_MASKS, process["workers"]
    images_per_step = effective_batch(config.training, workers.count)
    identity = pseudo_mask_identity(config, seed, digest, images_per_step=images_per_step)
    if not workers.gather(path.exists())[0]:
        share = copy(training_set)
        share.records = training_set.records[workers.rank :: workers.count]
        if config.supervision.pseudo_masks == "grabcut":
            make, seconds = partial(grabcut_masks, share), 0.0
        else:
            teacher_config = without_pseudo_masks(config)
            teacher = train(teacher_config, seed, folder=folder / TEACHER, digest=digest, **process)
            make = partial(teacher_masks, teacher.model, share, config, device=process["device"])
            seconds = teacher.seconds
        started = time.perf_counter()
        shares = workers.gather(make(progress=process["progress"]))
        if workers.writes:
            folder.mkdir(parents=True, exist_ok=True)
            masks = {annotation_id: mask for masks in shares for annotation_id, mask in masks.items()}
            seconds += time.perf_counter() - started
            write_pseudo_masks(path, training_set, masks, seconds=seconds, identity=identity)
        workers.gather(None)  # until the file is written
    return with_pseudo_masks(training_set, path, identity=identity)


def evaluate_model(
    model: CondInst | MaskRcnn, dataset: CocoDataset, config: Config, *, workers: Workers, **process: Any
) -> Evaluation:
    workers.copy_from_first(model)
    return evaluate(model, dataset, config.inference, precision=config.training.precision, workers=workers, **process)
