"""One trial in its process. The process runs several in turn, since it takes longer to start than a small training."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray import tune

from core.compute.failure import describe
from core.compute.interrupt import Interrupted
from core.record import Record
from experiments.jobs import Job
from experiments.parallel.described import KEY
from experiments.parallel.nodes.cluster import Cluster, Sender, StopAsked
from experiments.parallel.nodes.probe import check_late_node
from experiments.parallel.stop import read_flag
from experiments.params import Resources
from experiments.store import Store
from experiments.sweep import device_of, run_job

FAILED = "failed"  # reported, with the reason, by a trial that has its record
END_SECONDS = 60  # until the thread of a trial that has ended must be gone; Tune's 2 are short on a loaded machine


class MachineFault(Exception):
    """A read or write that failed in a trial's process, such as on a full disk: no fault of the trial, in one line."""


class TrialFailed(Exception):
    """The trial has a record of its failure: it is not tried again, and its process, which it may have hurt, ends."""


def train_job(
    settings: dict[str, Any],
    jobs: Sequence[Job],
    store: Store,
    resources: Resources,
    folder: Path,
    flag: Path,
    cluster: Cluster | None = None,
) -> None:
    """Tune's trainable: run the job that `settings` names from `folder`, the one of the command, until `flag` says so.

    Reports flat metrics for each epoch: its numbers as in the curves of the record, and `loss`, which is `loss/total`.
    On a cluster, the driver's machine is asked for all that its nodes do not share.

    Raises:
        MachineFault: if a file cannot be read or written.
        TrialFailed: if the record says so.
        WorkerDied: if one of several processes of the trial died; Tune then tries it again, as if this one had.
    """
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(END_SECONDS)
    job = next(job for job in jobs if job.key == settings[KEY])
    try:
        if cluster is not None:
            record = run_on_node(job, resources, cluster)
        else:
            os.chdir(folder)  # relative paths in a recipe start there
            record = run_unless_stopped(job, store, resources, report_epoch, lambda: read_flag(flag))
    except Interrupted:
        return  # it has a checkpoint and no record
    except OSError as error:
        where = f"node {ray.util.get_node_ip_address()}: " if cluster is not None else ""
        raise MachineFault(f"{where}{describe(error)}") from error
    if record is not None and record.status != "ok":
        tune.report({FAILED: record.reason})
        raise TrialFailed(record.reason)


def run_on_node(job: Job, resources: Resources, cluster: Cluster) -> Record | None:
    """Run a job on a node of a cluster; in a store of its own, kept by the driver's, where the node has not that one.

    Raises:
        OSError: if the node joined late and cannot run trials, has neither the data nor a place for it, or a file
            cannot be read or written.
    """
    check_late_node(cluster, job.provenance, device_of(resources))
    try:
        os.chdir(cluster.data_folder(job.data_digest))
    except ValueError as error:
        raise OSError(str(error)) from error
    stop = StopAsked(cluster)
    if cluster.shares_store():
        return run_unless_stopped(job, cluster.store, resources, report_epoch, stop)
    with TemporaryDirectory(prefix="boxinst-trial-") as scratch:
        store = Store(Path(scratch))
        sender = Sender(cluster, job.key, store)
        sender.receive()

        def on_epoch(numbers: dict[str, float]) -> None:
            sender.send_at_times()  # first: where the epoch was reported, its checkpoint has arrived
            report_epoch(numbers)

        try:
            return run_unless_stopped(job, store, resources, on_epoch, stop)
        finally:  # also of a trial that stopped
            sender.send()


def run_unless_stopped(
    job: Job,
    store: Store,
    resources: Resources,
    on_epoch: Callable[[dict[str, float]], None],
    stop: Callable[[], int],
) -> Record | None:
    """As `run_job`; None where the sweep has been stopped before."""
    return None if stop() else run_job(job, store, resources, on_epoch, stop=stop)


def report_epoch(numbers: dict[str, float]) -> None:
    tune.report(numbers | {"loss": numbers["loss/total"]})
