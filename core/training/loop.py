"""The training loop: epochs, evaluation, checkpoints and exact resume, with one or several workers (`torchrun`).

All randomness is a function of (seed, epoch, image), and all schedules are functions of the step. A training that was
killed or stopped and resumed therefore gives, on a CPU, the same result to the bit. CUDA's scatter and interpolation
kernels add in no fixed order: there, equal runs agree closely but not to the bit.
"""

import logging
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from core.checkpoints.checkpoint import CHECKPOINT, TEACHER, save_checkpoint
from core.compute.compute import Compute
from core.compute.device import peak_memory_mb
from core.compute.interrupt import Stopped
from core.config import Config
from core.config.identity import pseudo_mask_identity
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import (
    CocoDataset,
    build_training_set,
    build_validation_set,
    read_training_file,
    read_validation_file,
)
from core.datasets.digest import data_digest
from core.datasets.loader import BatchLoader
from core.datasets.supervision import first_phase
from core.evaluation.evaluate import Evaluation, evaluate
from core.files.imagenet_weights import with_weights
from core.model.build import build_model
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn
from core.pseudo_masks.grabcut import PSEUDO_MASKS, grabcut_masks, with_pseudo_masks, write_pseudo_masks
from core.pseudo_masks.teacher import teacher_masks, without_pseudo_masks
from core.training.effective_batch import describe_schedule, effective_batch, scale_to_batch
from core.training.epoch import EpochProgress, boxes_only_epochs, run_epoch, steps_per_epoch, total_steps
from core.training.optimizer import build_optimizer
from core.training.preconditions import check_same_categories, check_something_to_learn
from core.training.resume import resume, state_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """A finished training: the network, its final evaluation, and a dict of named numbers per epoch."""

    model: CondInst | MaskRcnn
    evaluation: Evaluation
    curves: list[dict[str, float | int]]
    seconds: float  # training, evaluation, pseudo masks and their teacher, including runs before a resume
    peak_memory_mb: float  # of the process on a CPU, of the allocator on CUDA
    num_train_images: int  # images used, with boxes or masks
    num_train_instances: int  # in these images


def train(
    config: Config,
    seed: int,
    compute: Compute,
    *,
    folder: Path,
    digest: str | None = None,
    on_epoch: Callable[[dict[str, float | int]], None] | None = None,
) -> TrainingResult:
    """Train with `config` and evaluate; resumes from a checkpoint in `folder` if there is one.

    Learning rate, steps and warm-ups are scaled to the effective batch (`scale_to_batch`) and logged. If the config
    uses pseudo masks, they are made first and kept in `folder` (`mask_every_instance`).
    The checkpoint is only resumed with the same `digest`. By default it covers the data (`data_digest` reads every
    image) and the file of initial backbone weights (`with_weights`).
    `on_epoch` is called with a dict for each finished epoch, including those before a resume: epoch (from 1), epochs,
    step, learning_rate, pairwise_warmup, edges_kept, seconds, `loss/<term>` (weighted) and `loss/<term>_unweighted` as
    means over the epoch, and the metrics if the epoch ended with an evaluation.

    When `compute.stop` asks for it, the training ends before its next step or within an evaluation (with several
    workers after it), with a checkpoint from which it resumes there.

    Each annotation file is read once. With several workers, each calls this function with its own `compute` and
    otherwise the same arguments; rank 0 writes and reports. Batch norm statistics are those of each worker's own
    images (as in AdelaiDet); those of rank 0 are evaluated and saved.

    Raises:
        ValueError: if the data or the checkpoint do not fit the config.
        FloatingPointError: if a loss is not finite; names the term.
        Stopped: if `compute.stop` asked for it; after the checkpoint is written.
    """
    workers = compute.workers
    training_file, validation_file = read_training_file(config.data), read_validation_file(config.data)
    training_set, validation_set = build_data_sets(config, seed, training_file, validation_file)
    stated, config = config, config.model_copy(update={"training": scale_to_batch(config.training, workers.count)})
    images_per_step = effective_batch(config.training, workers.count)
    steps = total_steps(config.training, len(training_set), workers.count)
    epochs = -(-steps // steps_per_epoch(len(training_set), images_per_step))
    num_boxes_only = boxes_only_epochs(config.supervision.boxes_first, epochs)
    if digest is None:
        digest = with_weights(data_digest(training_file, validation_file, workers), config.model.backbone.weights)
    seconds_of_masks = 0.0
    if config.supervision.pseudo_masks is not None:
        training_set, seconds_of_masks = mask_every_instance(
            training_set, training_file, stated, seed, compute, folder=folder, digest=digest
        )
    first_set = training_set
    if num_boxes_only:
        first_set = build_training_set(training_file, config.data, first_phase(config.supervision), seed)
    del training_file  # gigabytes on COCO; the data sets keep only what they use
    identity = {"config": stated, "seed": seed, "data_digest": digest}
    if workers.writes:
        log.info(describe_schedule(config.training, workers.count, steps, round(config.loss.pairwise_warmup * steps)))
        folder.mkdir(parents=True, exist_ok=True)

    model = initial_model(config, training_set.num_classes, seed, compute)
    optimizer = build_optimizer(model, config.training)
    checkpoint = folder / CHECKPOINT
    belonging = {"images_per_step": images_per_step, "identity": identity}
    curves, progress = resume(checkpoint, model, optimizer, compute, epochs=epochs, **belonging)
    report = on_epoch if on_epoch is not None and workers.writes else (lambda numbers: None)
    for numbers in curves:
        report(numbers)

    def save() -> None:
        if workers.writes:
            classes = training_set.categories, training_set.category_ids
            state = state_of(model, optimizer, curves, *classes, images_per_step, progress)
            save_checkpoint(checkpoint, state, **identity)

    def evaluated() -> Evaluation:
        workers.copy_from_first(model)
        precision = config.training.precision
        return evaluate(model, validation_set, validation_file, config.inference, compute, precision=precision)

    evaluation = None
    processes = compute.loader_processes
    with BatchLoader(first_set, processes) as boxes_only, BatchLoader(training_set, processes) as whole:
        for epoch in range(len(curves), epochs):
            started = time.perf_counter()
            loader = boxes_only if epoch < num_boxes_only else whole
            if loader is whole:
                boxes_only.close()
            position = {"epoch": epoch, "steps": steps, "seed": seed, "progress": progress}
            last = epoch + 1 == epochs
            try:
                numbers = run_epoch(model, optimizer, loader, config, compute, **position)
                every = config.training.evaluate_every
                if last or (every and (epoch + 1) % every == 0):
                    evaluation = evaluated()
                    numbers |= evaluation.metrics
            except Stopped as stopped:
                progress.seconds += time.perf_counter() - started
                save()
                message = f"{stopped}; the same command goes on there, from {checkpoint}"
                raise Stopped(message, stopped.signal_number) from None
            seconds = time.perf_counter() - started + progress.seconds + (curves[-1]["seconds"] if curves else 0.0)
            curves.append({"epoch": epoch + 1, "epochs": epochs, "seconds": seconds} | numbers)
            progress = EpochProgress()
            save()
            report(curves[-1])
    if evaluation is None:  # resumed after the last epoch
        evaluation = evaluated()
    seconds = curves[-1]["seconds"] + seconds_of_masks
    num_images, num_instances = len(first_set.records), sum(len(record.labels) for record in first_set.records)
    return TrainingResult(model, evaluation, curves, seconds, peak_memory_mb(compute.device), num_images, num_instances)


def build_data_sets(
    config: Config, seed: int, training_file: AnnotationFile, validation_file: AnnotationFile
) -> tuple[CocoDataset, CocoDataset]:
    """Build the training and the validation set, and check that both fit the config.

    Raises:
        ValueError: if the data is invalid, or lacks annotations that the config needs.
    """
    semantic = config.model.semantic_head
    training_set = build_training_set(training_file, config.data, config.supervision, seed, semantic_labels=semantic)
    validation_set = build_validation_set(validation_file, config.data)
    check_same_categories(training_set, validation_set)
    check_something_to_learn(training_set, config)
    validation_file.check_for_evaluation()  # fail now, not after the training
    return training_set, validation_set


def initial_model(config: Config, num_classes: int, seed: int, compute: Compute) -> CondInst | MaskRcnn:
    """The network initialized from `seed`, on its device; the same on every worker."""
    device = compute.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config.model, num_classes)
    if compute.workers.count > 1 and torch.device(device).type == "cuda" and config.model.pyramid == "bifpn":
        model.pyramid = nn.SyncBatchNorm.convert_sync_batchnorm(model.pyramid)  # as AdelaiDet; not available on the CPU
    return model.to(device, memory_format=torch.channels_last)


def mask_every_instance(
    training_set: CocoDataset,
    file: AnnotationFile,
    config: Config,
    seed: int,
    compute: Compute,
    *,
    folder: Path,
    digest: str,
) -> tuple[CocoDataset, float]:
    """Add pseudo masks for the instances without mask; returns the data set and the seconds spent, teacher included.

    The masks are made once, by each worker for its share of the images, and kept in `folder`. A teacher is trained in
    `folder/teacher` like any other network and resumes from its own checkpoint; it does not report epochs.
    """
    path, workers = folder / PSEUDO_MASKS, compute.workers
    images_per_step = effective_batch(config.training, workers.count)
    identity = pseudo_mask_identity(config, seed, digest, images_per_step=images_per_step)
    if not workers.gather(path.exists())[0]:
        share = copy(training_set)
        share.records = training_set.records[workers.rank :: workers.count]
        if config.supervision.pseudo_masks == "grabcut":
            make, seconds = partial(grabcut_masks, share, progress=compute.progress), 0.0
        else:
            teacher_config = without_pseudo_masks(config)
            teacher = train(teacher_config, seed, compute, folder=folder / TEACHER, digest=digest)
            make, seconds = partial(teacher_masks, teacher.model, share, config, compute), teacher.seconds
        started = time.perf_counter()
        shares = workers.gather(make())
        if workers.writes:
            folder.mkdir(parents=True, exist_ok=True)
            masks = {annotation_id: mask for masks in shares for annotation_id, mask in masks.items()}
            seconds += time.perf_counter() - started
            write_pseudo_masks(path, file, training_set, masks, seconds=seconds, identity=identity)
        workers.gather(None)  # wait until the file is written
    return with_pseudo_masks(training_set, path, identity=identity)
