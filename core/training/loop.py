"""The training loop: epochs, evaluation, checkpoints and exact resume, with one or several workers (`torchrun`).

All randomness is a function of (seed, epoch, image), and all schedules are functions of the step. A training that was
killed or stopped and resumed therefore gives, on a CPU, the same result to the bit. CUDA's scatter and interpolation
kernels add in no fixed order: there, equal runs agree closely but not to the bit.
"""

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from core.checkpoints.checkpoint import CHECKPOINT, TEACHER, save_checkpoint
from core.checkpoints.start import Start, read_start
from core.compute.compute import Compute
from core.compute.device import peak_memory_mb
from core.compute.interrupt import Stopped
from core.config import Config
from core.config.identity import pseudo_mask_identity
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import (
    CocoDataset,
    build_training_set,
    read_training_file,
    read_validation_file,
)
from core.datasets.digest import data_digest
from core.datasets.loader import BatchLoader
from core.datasets.supervision import first_phase
from core.evaluation.evaluate import Evaluation, evaluate
from core.files.imagenet_weights import with_weights
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn
from core.pseudo_masks.ema_teacher import EmaTeacher
from core.pseudo_masks.grabcut import PSEUDO_MASKS, grabcut_masks, with_pseudo_masks, write_pseudo_masks
from core.pseudo_masks.mask_file import read_mask_file, with_masks
from core.pseudo_masks.teacher import teacher_masks, without_pseudo_masks
from core.training.data_sets import build_data_sets
from core.training.effective_batch import effective_batch
from core.training.epoch import EpochProgress, run_epoch
from core.training.initial import initial_model
from core.training.length import continues
from core.training.optimizer import build_optimizer
from core.training.pace import EpochTime
from core.training.report import Plan, Report
from core.training.resume import resume, state_of
from core.training.schedule import Schedule
from core.training.step import BatchLosses


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
    start: Path | None = None,
    on_epoch: Callable[[dict[str, float | int]], None] | None = None,
    report: Report | None = None,
) -> TrainingResult:
    """Train with `config` and evaluate; resumes from a checkpoint in `folder` if there is one.

    Learning rate, steps and warm-ups are scaled to the effective batch (`scale_to_batch`). If the config uses pseudo
    masks, they are made first and kept in `folder` (`mask_every_instance`), or read from a file (`add_masks`).
    The checkpoint is only resumed with the same `digest`. By default it covers the data (`data_digest` reads every
    image), the file of initial backbone weights (`with_weights`) and that of pseudo masks (`with_masks`).
    `start` is a checkpoint whose network this training, and that of a teacher, starts from (`load_start`), in place of
    the backbone's weights; optimizer and schedule are new, the pairwise warm-up too. Wherever the file is, its content
    belongs to what identifies the training. A checkpoint of another length is resumed where this training `continues`
    it.
    `report` says in the log how the training goes on, a teacher's too.
    `on_epoch` is called with a dict for each finished epoch, including those before a resume: epoch (from 1), epochs,
    step, learning_rate, pairwise_warmup, edges_kept, seconds, `loss/<term>` (weighted) and `loss/<term>_unweighted` as
    means over the epoch, and the metrics if the epoch ended with an evaluation.

    When `compute.stop` asks for it, the training ends before its next step or within an evaluation (with several
    workers after it), with a checkpoint from which it resumes there.

    Each annotation file is read once. With several workers, each calls this function with its own `compute` and
    otherwise the same arguments; rank 0 writes and reports. Batch norm statistics are those of each worker's own
    images (as in AdelaiDet); those of rank 0 are evaluated and saved.

    Raises:
        ValueError: if the data, the checkpoint or `start` do not fit the config.
        OtherLengthError: if the checkpoint is of a training of another length.
        FloatingPointError: if a loss is not finite; names the term.
        Stopped: if `compute.stop` asked for it; after the checkpoint is written.
    """
    workers = compute.workers
    origin = None if start is None else read_start(start, config.model)
    training_file, validation_file = read_training_file(config.data), read_validation_file(config.data)
    mask_file = read_mask_file(config)
    training_set, validation_set = build_data_sets(config, seed, training_file, validation_file, mask_file)
    if origin is not None:
        initial_model(
            config, training_set.categories, seed, Compute(), origin
        )  # fail now, not after reading the images
    of_data = {"num_images": len(training_set), "num_workers": workers.count}
    stated, schedule = config, Schedule.of(config, **of_data)
    config, boxes_only_epochs = schedule.config, schedule.boxes_only_epochs
    if digest is None:
        weights = config.model.backbone.weights if origin is None else None
        digest = with_weights(data_digest(training_file, validation_file, workers), weights)
        digest = with_masks(digest, mask_file and mask_file.fingerprint)
    seconds_of_masks = 0.0
    if config.supervision.makes_masks:
        belonging = {"folder": folder, "digest": digest, "start": origin, "report": report}
        training_set, seconds_of_masks = mask_every_instance(
            training_set, training_file, stated, seed, compute, **belonging
        )
    first_set = training_set
    if boxes_only_epochs:
        first_set = build_training_set(training_file, config.data, first_phase(config.supervision), seed)
    del training_file, mask_file  # gigabytes on COCO; the data sets keep only what they use
    identity = {"config": stated, "seed": seed, "data_digest": digest, "start": origin and origin.sha256}
    if workers.writes:
        folder.mkdir(parents=True, exist_ok=True)

    model = initial_model(config, training_set.categories, seed, compute, origin)
    optimizer, teacher = build_optimizer(model, config.training), EmaTeacher.of(model, config)
    checkpoint = folder / CHECKPOINT
    belonging = {"images_per_step": schedule.images_per_step, "identity": identity, "teacher": teacher}
    belonging["continues"] = partial(continues, stated, **of_data)
    curves, progress = resume(checkpoint, model, optimizer, compute, epochs=schedule.epochs, **belonging)
    steps_done = schedule.steps_until(len(curves)) + progress.steps
    if not workers.writes:
        on_epoch = report = None
    if report is not None:
        phases = [first_set, training_set] if boxes_only_epochs else [training_set]
        report.start(Plan(schedule, phases, validation_set, len(curves), steps_done, origin, folder))
    for numbers in curves if on_epoch is not None else ():
        on_epoch(numbers)

    batch_losses = workers.parallel(BatchLosses(model, config))

    def save() -> None:
        if workers.writes:
            classes = training_set.categories, training_set.category_ids
            state = state_of(model, optimizer, curves, *classes, schedule.images_per_step, progress, teacher)
            save_checkpoint(checkpoint, state, **identity)

    def evaluated() -> Evaluation:
        workers.copy_from_first(model)
        precision = config.training.precision
        return evaluate(model, validation_set, validation_file, config.inference, compute, precision=precision)

    evaluation = None
    processes = compute.loader_processes
    shown = {"desc": folder.name, "unit": "step", "leave": False, "disable": not compute.progress}
    bar = tqdm(total=schedule.steps, initial=steps_done, **shown)
    with bar, BatchLoader(first_set, processes) as boxes_only, BatchLoader(training_set, processes) as whole:
        for epoch in range(len(curves), schedule.epochs):
            started = time.perf_counter()
            loader = boxes_only if epoch < boxes_only_epochs else whole
            if loader is whole:
                boxes_only.close()
            position = {"epoch": epoch, "steps": schedule.steps, "seed": seed, "progress": progress}
            first_step = progress.steps
            try:
                parts = {"stepped": bar.update, "batch_losses": batch_losses, "teacher": teacher}
                numbers = run_epoch(model, optimizer, loader, config, compute, **position, **parts)
                trained = time.perf_counter()
                if schedule.evaluates(epoch + 1):
                    evaluation = evaluated()
                    numbers |= evaluation.metrics
            except Stopped as stopped:
                progress.seconds += time.perf_counter() - started
                save()
                message = f"{stopped}; the same command goes on there, from {checkpoint}"
                raise Stopped(message, stopped.signal_number) from None
            ended = time.perf_counter()
            seconds = ended - started + progress.seconds + (curves[-1]["seconds"] if curves else 0.0)
            curves.append({"epoch": epoch + 1, "epochs": schedule.epochs, "seconds": seconds} | numbers)
            images = (progress.steps - first_step) * schedule.images_per_step
            progress = EpochProgress()
            save()
            if report is not None:
                spent = EpochTime(images, trained - started, ended - trained if "box_AP" in numbers else None)
                report.epoch(curves[-1], spent)
            if on_epoch is not None:
                on_epoch(curves[-1])
    if evaluation is None:  # resumed after the last epoch
        evaluation = evaluated()
    seconds = curves[-1]["seconds"] + seconds_of_masks
    num_images, num_instances = len(first_set.records), sum(len(record.labels) for record in first_set.records)
    return TrainingResult(model, evaluation, curves, seconds, peak_memory_mb(compute.device), num_images, num_instances)


def mask_every_instance(
    training_set: CocoDataset,
    file: AnnotationFile,
    config: Config,
    seed: int,
    compute: Compute,
    *,
    folder: Path,
    digest: str,
    start: Start | None = None,
    report: Report | None = None,
) -> tuple[CocoDataset, float]:
    """Add pseudo masks for the instances without mask; returns the data set and the seconds spent, teacher included.

    The masks are made once, by each worker for its share of the images, and kept in `folder`. A teacher is trained in
    `folder/teacher` like any other network and resumes from its own checkpoint; it has no `on_epoch`.
    """
    path, workers = folder / PSEUDO_MASKS, compute.workers
    images_per_step = effective_batch(config.training, workers.count)
    begins = start and start.sha256
    identity = pseudo_mask_identity(config, seed, digest, images_per_step=images_per_step, start=begins)
    if not workers.gather(path.exists())[0]:
        share = copy(training_set)
        share.records = training_set.records[workers.rank :: workers.count]
        if config.supervision.pseudo_masks == "grabcut":
            make, seconds = partial(grabcut_masks, share, progress=compute.progress), 0.0
        else:
            teacher_config = without_pseudo_masks(config)
            own = {"folder": folder / TEACHER, "report": report and report.of_teacher(), "start": start and start.path}
            teacher = train(teacher_config, seed, compute, digest=digest, **own)
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
