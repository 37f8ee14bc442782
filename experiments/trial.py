"""One trial: train, evaluate, draw, and collect the results in one record."""

import json
import os
import platform
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from core.compute.compute import Compute
from core.compute.device import forget_memory_peak, keep_freed_memory
from core.compute.failure import DISK_FULL, describe, is_out_of_memory
from core.compute.interrupt import never_stop
from core.compute.precision import network_precision
from core.compute.workers import ALONE, Workers
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import build_training_set, build_validation_set, read_training_file, read_validation_file
from core.evaluation.coco_metrics import found_annotations
from core.evaluation.evaluate import Evaluation
from core.evaluation.kept_detections import DETECTIONS, write_detections
from core.evaluation.pseudo_mask_iou import masks_of, pseudo_mask_quality, read_masks
from core.evaluation.quality import quality_metrics
from core.files.atomic import write_text
from core.pseudo_masks.grabcut import PSEUDO_MASKS
from core.pseudo_masks.mask_file import add_masks, read_mask_file
from core.record import Record
from core.training.loop import train
from experiments.memory import memory_limit, out_of_memory
from experiments.pictures import draw_detections
from experiments.provenance import Provenance
from experiments.study import Trial


def run_trial(
    trial: Trial,
    folder: Path,
    *,
    key: str,
    data_digest: str,
    provenance: Provenance,
    device: str,
    threads: int,
    workers: Workers = ALONE,
    memory_gb: float | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    progress: bool = False,
    stop: Callable[[], int] = never_stop,
) -> Record:
    """Train and evaluate one trial in `folder`, from its checkpoint if there is one, until `stop` asks for its end.

    Beside the checkpoint it writes pictures/, detections.json.gz (`write_detections`) and found.json, the result of
    `found_annotations`.
    Of several workers each calls it with its own device; the first writes and reports.
    Exceptions are not raised but recorded: a failed trial has status `failed`, the reason in one line, the traceback
    and the curves so far.

    Raises:
        OSError: if the disk is full.
        Stopped: if `stop` asked for it; the next call goes on at the same step.
    """
    keep_freed_memory()
    made_from = {"data_digest": data_digest, "provenance": provenance, "workers": workers.count}
    record = describe_trial(trial, key=key, **made_from)
    precision = network_precision(trial.config.training.precision, device)
    processes = loader_processes(device, threads)
    compute = Compute(device, workers, processes, progress=progress and workers.writes, stop=stop)
    where = {"host": socket.gethostname(), "process": os.getpid(), "rank": workers.rank}
    record = record.changed(**where, device=device_name(device), threads=threads, precision=precision)
    curves: list[dict[str, float]] = []

    def remember(numbers: dict[str, float]) -> None:
        curves.append(numbers)
        if on_epoch is not None:
            on_epoch(numbers)

    started = time.perf_counter()
    try:
        forget_memory_peak(device)
        with torch_threads(threads), memory_limit(memory_gb):
            result = train(
                trial.config,
                trial.seed,
                compute,
                folder=folder,
                digest=data_digest,
                on_epoch=remember,
            )
            trained = time.perf_counter()
            if not workers.writes:
                return record
            validation_file = read_validation_file(trial.config.data)
            validation_set = build_validation_set(validation_file, trial.config.data)
            pictures = draw_detections(result.evaluation, validation_set, validation_file.content, folder / "pictures")
            found = found_annotations(
                validation_file.content,
                result.evaluation.mask_results,
                image_ids=validation_set.image_ids,
                category_ids=validation_set.category_ids,
            )
            write_text(folder / "found.json", json.dumps(found, indent=1, allow_nan=False))
            metrics = result.evaluation.metrics | measure_masks(trial, result.evaluation, validation_file, folder)
            seconds = result.seconds + time.perf_counter() - trained
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise  # no record could be written, and the next trial would end alike
        failed = record.changed(**failure(error), curves=curves, seconds=time.perf_counter() - started)
        if is_out_of_memory(error):
            batch_size = trial.config.training.batch_size
            reason = out_of_memory(error, device=device, batch_size=batch_size, limit_gb=memory_gb)
            failed = failed.changed(reason=reason)
        return failed
    return record.changed(
        metrics=metrics,
        per_class=result.evaluation.per_class,
        curves=result.curves,
        pictures=pictures,
        seconds=seconds,
        peak_memory_mb=result.peak_memory_mb,
        num_train_images=result.num_train_images,
        num_train_instances=result.num_train_instances,
        validation_file=validation_file.fingerprint.hex(),
    )


def measure_masks(
    trial: Trial, evaluation: Evaluation, validation_file: AnnotationFile, folder: Path
) -> dict[str, float]:
    """Keep the detections of a trained network in `folder`, and measure its masks, and pseudo masks if it had some."""
    write_detections(evaluation.box_results, evaluation.mask_results, folder / DETECTIONS)
    metrics = quality_metrics(validation_file, evaluation.box_results, evaluation.mask_results)
    data, supervision = trial.config.data, trial.config.supervision
    if supervision.pseudo_masks is not None:
        training_file, mask_file = read_training_file(data), read_mask_file(trial.config)
        training_set = build_training_set(training_file, data, supervision, trial.seed)
        if mask_file is None:
            masks = read_masks(folder / PSEUDO_MASKS)
        else:
            masks = masks_of(add_masks(training_set, training_file, mask_file))
        metrics |= pseudo_mask_quality(masks, training_set, training_file)
    return metrics


def describe_trial(trial: Trial, *, key: str, data_digest: str, provenance: Provenance, workers: int = 1) -> Record:
    """The part of a record that is known before the trial runs, without results."""
    return Record(
        key=key,
        status="ok",
        reason="",
        config=trial.config.model_dump(mode="json"),
        seed=trial.seed,
        data_digest=data_digest,
        code=provenance.code,
        git_revision=provenance.git_revision,
        git_dirty=provenance.git_dirty,
        versions=provenance.versions,
        host=None,
        process=None,
        rank=None,
        **({"workers": workers} if workers > 1 else {}),
        device=None,
        precision=None,
        threads=None,
        metrics={},
        per_class={},
        curves=[],
        pictures=[],
        seconds=None,
        peak_memory_mb=None,
        num_train_images=None,
        num_train_instances=None,
        files={},
    )


def failure(error: Exception) -> dict[str, str]:
    """Status, one-line reason and traceback of a trial that raised."""
    reason = " ".join(f"{type(error).__name__}: {describe(error) or error}".split())
    return {"status": "failed", "reason": reason, "traceback": "".join(traceback.format_exception(error))}


def device_name(device: str) -> str:
    """The GPU's name, or the CPU's architecture and instruction set: they decide the kernels, and so the last bits."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def loader_processes(device: str, cores: int) -> int:
    """Number of processes that load images: on a GPU one less than the cores of the trial, on a CPU none."""
    return max(cores - 1, 0) if torch.device(device).type == "cuda" else 0


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Limit torch to `count` threads within the block; another number changes sums in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
