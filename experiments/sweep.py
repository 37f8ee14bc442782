"""Run the jobs of a sweep: one into the store, or all of them one by one in this process."""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from core.checkpoints.checkpoint import CHECKPOINT, TEACHER, load_checkpoint, save_checkpoint
from core.checkpoints.state import EMA_TEACHER
from core.compute.device import check_device
from core.compute.interrupt import Interrupted, never_stop, stop_requests
from core.files.atomic import replaced
from core.pseudo_masks.teacher import without_pseudo_masks
from core.record import Record, trial_key
from experiments.jobs import Job
from experiments.params import Resources
from experiments.provenance import current_code
from experiments.store import Store
from experiments.trial import describe_trial, run_trial
from experiments.trial_workers import WorkerDied, run_trial_by_workers


class Observer(Protocol):
    """Receives the events of a sweep in the driver's process; implemented by `Progress` and `Tracking`."""

    def started(self, job: Job) -> None: ...

    def epoch(self, job: Job, numbers: dict[str, float]) -> None:
        """An epoch has ended; a resumed trial reports its earlier epochs again."""

    def ended(self, job: Job, record: Record) -> None: ...


def device_of(resources: Resources) -> str:
    return "cuda" if resources.gpus_per_trial > 0 else "cpu"


def run_job(
    job: Job,
    store: Store,
    resources: Resources,
    on_epoch: Callable[[dict[str, float]], None],
    *,
    progress: bool = False,
    stop: Callable[[], int] = never_stop,
) -> Record:
    """Run one job in its folder of the store and write its record there. Both runners call this.

    Raises:
        WorkerDied: if the job has several workers and one died.
        Stopped: if `stop` asked for it; the job then has no record and goes on from its checkpoint the next time.
    """
    with store.lock(job.key):
        finished = store.finished(job.key)  # in the meantime, by a worker that outlived its driver
        if finished is not None:
            return finished
        if (code := current_code()) != job.provenance.code:  # else the store would keep it under the key of other code
            record = other_code(job, code)
            store.write(record)
            return record
        lend_teacher(job, store)
        folder = store.folder(job.key)
        run = run_trial if job.workers == 1 else partial(run_trial_by_workers, job.workers)
        record = run(
            job.trial,
            folder,
            key=job.key,
            data_digest=job.data_digest,
            provenance=job.provenance,
            device=device_of(resources),
            threads=resources.cpus_per_trial,
            memory_gb=resources.memory_per_trial_gb,
            on_epoch=on_epoch,
            progress=progress,
            stop=stop,
        )
        store.write(record)
        if record.status == "ok":
            _drop_optimizer(job, folder / CHECKPOINT)
        return record


def crashed(job: Job, store: Store, message: str, *, out_of_memory: bool = False, kernel_kills: int = 0) -> Record:
    """Write the record of a job whose process died before it could write one.

    `kernel_kills`: how many processes the kernel of the driver's machine killed for lack of memory during the job.
    """
    described = describe_job(job)
    reason = f"the process died: {message.strip().splitlines()[0]}"  # ids in the rest of Ray's message differ
    if out_of_memory or kernel_kills:
        batch_size = job.trial.config.training.batch_size
        cause = (
            "the process was killed when memory ran out"
            if out_of_memory
            else f"the process died while the kernel killed {kernel_kills} for lack of memory, probably also this one"
        )
        reason = f"{cause}; reduce resources.parallel_trials, training.batch_size ({batch_size}) or the image size"
    record = described.changed(status="failed", reason=reason, traceback=message)
    store.write(record)
    return record


def describe_job(job: Job) -> Record:
    """The record of a job as far as it is known before it runs."""
    made_from = {"data_digest": job.data_digest, "provenance": job.provenance, "workers": job.workers}
    return describe_trial(job.trial, key=job.key, **made_from)


def other_code(job: Job, code: str) -> Record:
    """The record of a job whose process has other code or packages than the driver had at its start."""
    reason = (
        f"the code or packages of this process (digest {code}) differ from those at the start of the sweep "
        f"({job.provenance.code}), probably edited during the run; run the same command again"
    )
    return describe_job(job).changed(status="failed", reason=reason)


def run_one_by_one(
    jobs: Sequence[Job], store: Store, resources: Resources, observers: Sequence[Observer], *, progress: bool = True
) -> None:
    """Run jobs in this process, in order; for tests and debugging.

    Raises:
        ValueError: if `resources` asks for a GPU and there is none.
        Interrupted: if SIGTERM or Ctrl-C ended the running job, after its step.
    """
    last = f":{resources.workers - 1}" if resources.gpus_per_trial > 1 else ""
    check_device(device_of(resources) + last)
    with stop_requests() as stop:
        for job in jobs:
            for observer in observers:
                observer.started(job)

            def on_epoch(numbers: dict[str, float], job: Job = job) -> None:
                for observer in observers:
                    observer.epoch(job, numbers)

            try:
                record = run_job(job, store, resources, on_epoch, progress=progress, stop=stop)
            except WorkerDied as error:
                record = crashed(job, store, str(error))
            for observer in observers:
                observer.ended(job, record)
            if number := stop():  # between two jobs
                raise Interrupted("stopped", number)


def lend_teacher(job: Job, store: Store) -> None:
    """Copy the teacher of self-training if the store has it as a finished trial, so that `train` need not train it."""
    config = job.trial.config
    own = store.folder(job.key) / TEACHER / CHECKPOINT
    if config.supervision.pseudo_masks != "teacher" or own.exists():
        return
    made_from = {"data_digest": job.data_digest, "code": job.provenance.code, "workers": job.workers}
    key = trial_key(without_pseudo_masks(config), job.trial.seed, **made_from)
    if store.finished(key) is not None:
        own.parent.mkdir(parents=True, exist_ok=True)
        with replaced(own) as partial:
            shutil.copyfile(store.folder(key) / CHECKPOINT, partial)


def _drop_optimizer(job: Job, path: Path) -> None:
    """Keep only the weights: a finished training does not need the other two thirds of its checkpoint, or more."""
    identity = {"config": job.trial.config, "seed": job.trial.seed, "data_digest": job.data_digest}
    state = load_checkpoint(path, device="cpu", **identity)
    state.pop(EMA_TEACHER, None)
    if state.pop("optimizer", None) is not None:  # else the trial had finished before, and lost its record
        save_checkpoint(path, state, **identity)
