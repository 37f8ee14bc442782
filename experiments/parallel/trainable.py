"""One trial in its process. The process runs several in turn, since it takes longer to start than a small training."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune

from core.compute.failure import describe
from core.compute.interrupt import Interrupted
from experiments.jobs import Job
from experiments.parallel.described import KEY
from experiments.parallel.stop import read_flag
from experiments.params import Resources
from experiments.store import Store
from experiments.sweep import run_job

FAILED = "failed"  # reported, with the reason, by a trial that has its record
END_SECONDS = 60  # until the thread of a trial that has ended must be gone; Tune's 2 are short on a loaded machine


class MachineFault(Exception):
    """A read or write that failed in a trial's process, such as on a full disk: no fault of the trial, in one line."""


class TrialFailed(Exception):
    """The trial has a record of its failure: it is not tried again, and its process, which it may have hurt, ends."""


def train_job(
    settings: dict[str, Any], jobs: Sequence[Job], store: Store, resources: Resources, folder: Path, flag: Path
) -> None:
    """Tune's trainable: run the job that `settings` names from `folder`, the one of the command, until `flag` says so.

    Reports flat metrics for each epoch: its numbers as in the curves of the record, and `loss`, which is `loss/total`.

    Raises:
        MachineFault: if a file cannot be read or written.
        TrialFailed: if the record says so.
        WorkerDied: if one of several processes of the trial died; Tune then tries it again, as if this one had.
    """
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(END_SECONDS)
    os.chdir(folder)  # relative paths in a recipe start there
    if read_flag(flag):
        return
    job = next(job for job in jobs if job.key == settings[KEY])
    try:
        record = run_job(job, store, resources, report_epoch, stop=lambda: read_flag(flag))
    except Interrupted:
        return  # it has a checkpoint and no record
    except OSError as error:
        raise MachineFault(describe(error)) from error
    if record.status != "ok":
        tune.report({FAILED: record.reason})
        raise TrialFailed(record.reason)


def report_epoch(numbers: dict[str, float]) -> None:
    tune.report(numbers | {"loss": numbers["loss/total"]})
