"""What MLflow shows of a study: a parent run per sweep, a child run per trial. The only file that imports MLflow.

Only the driver's process writes, with explicit ids: MLflow's fluent functions put runs into the Default experiment and
crash on a new database when several processes start at once. Runs are looked up by trial key, so a sweep that was
killed and started again continues in the same runs.
"""

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, Experiment, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking import MlflowClient

from core.record import Record
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import Job
from experiments.tracking.confusion import confusion
from experiments.tracking.content import (
    DESCRIPTION,
    PARENT,
    SOURCE,
    TABLES,
    as_table,
    class_rows,
    describe_study,
    epoch_metrics,
    final_metrics,
    parameters,
    tags_at_end,
    tags_at_start,
)
from experiments.tracking.driver import has_died, this_driver

EPOCH = "epoch"  # logged in one batch with the other numbers of its epoch: shows which epochs are logged
MOST_PARAMETERS = 100  # accepted by MLflow in one call
SAMPLING_SECONDS = 5.0  # interval for CPU, memory and GPU
UNREACHABLE = (MlflowException, OSError)  # OSError includes the exceptions of `requests`


class Tracking:
    """Logs one study to MLflow. An observer of a sweep.

    `MLFLOW_TRACKING_URI` names a server; without it everything goes to `folder` (mlflow.db, mlartifacts/). If the
    server stops responding, trials continue; `complete` logs what it missed.

    Raises:
        ValueError: if MLflow cannot be reached at the start or the end of the sweep.
    """

    def __init__(self, study: Study, jobs: Sequence[Job], store: Store, folder: Path) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        folder = folder.absolute()  # a relative path would depend on the working directory
        self.uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
        self.study = study
        self.store = store
        self.jobs = {job.key: job for job in jobs}
        self.running: dict[str, str] = {}  # run id by key
        self.num_logged_epochs: dict[str, int] = {}
        self.lost = False  # a call failed: log nothing more before the end of the sweep
        self.monitor: SystemMetricsMonitor | None = None
        with self._needed():
            self.client = MlflowClient(tracking_uri=self.uri)
            self.experiment_id = self._find_experiment(None if uri else (folder / "mlartifacts").as_uri())
            self._end_abandoned()
            self.parent_id = self._find_parent()

    def started(self, job: Job) -> None:
        """Open the trial's run: continue an unfinished one, replace a finished one."""
        if job.key in self.jobs:
            self._try(self._start, self.jobs[job.key])  # another study may use it under another name

    def epoch(self, job: Job, numbers: dict[str, float]) -> None:
        if job.key in self.running:
            self._try(self._log_epochs, job.key, [numbers])

    def ended(self, job: Job, record: Record) -> None:
        if job.key in self.running:
            self._try(self._log_record, job, record)

    def complete(self, records: dict[str, Record]) -> dict[str, str]:
        """Log what MLflow lacks: trials, and how the arms' detections compare with the reference arm's; run ids by key.

        Such trials come from the store, or ended while the server did not respond.
        """
        instances = confusion(self.study, [*self.jobs.values()], records, self.store)
        with self._needed():
            run_ids = {key: self._complete(key, record) for key, record in records.items()}
            self._log_table(self.parent_id, "confusion", instances)
        return run_ids

    def close(self, records: dict[str, Record]) -> None:
        """End the sweep's run, and mark the runs of trials without a record as killed."""
        if self.monitor is not None:
            self.monitor.finish()
            self.monitor = None
        with self._needed():
            for run_id in self.running.values():
                self.client.set_terminated(run_id, "KILLED")
            self.running.clear()
            missing = len(records) < len(self.jobs)
            failed = any(record.status != "ok" for record in records.values())
            self.client.set_terminated(self.parent_id, "KILLED" if missing else "FAILED" if failed else "FINISHED")

    @contextmanager
    def _needed(self) -> Iterator[None]:
        try:
            yield
        except UNREACHABLE as error:
            problem = f"MLflow at {self.uri}: {_first_line(error)}"
            way_out = "finished trials are kept; run the same command without --fresh to resume"
            raise ValueError(f"{problem}; {way_out}") from error

    def _try(self, log: Callable[..., None], *arguments: Any) -> None:
        if self.lost:
            return
        try:
            log(*arguments)
        except UNREACHABLE as error:
            self.lost = True
            logging.warning("MLflow at %s: %s; trials continue and are logged at the end", self.uri, _first_line(error))

    def _find_experiment(self, artifact_location: str | None) -> str:
        description = describe_study(self.study)
        experiment: Experiment | None = self.client.get_experiment_by_name(self.study.name)
        if experiment is None:
            try:
                return self.client.create_experiment(self.study.name, artifact_location, {DESCRIPTION: description})
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            experiment = self.client.get_experiment_by_name(self.study.name)  # another sweep was faster
        elif experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        if experiment.tags.get(DESCRIPTION) != description:
            self.client.set_experiment_tag(experiment.experiment_id, DESCRIPTION, description)
        return experiment.experiment_id

    def _end_abandoned(self) -> None:
        """End the runs, of every study, whose driver was killed; this sweep reopens those that it continues."""
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        for run in self.client.search_runs(experiments, "attributes.status = 'RUNNING'"):
            if has_died(run.data.tags.get("driver", "")):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _find_parent(self) -> str:
        """The run of the sweep over exactly these trials; created if missing."""
        keys = "-".join(sorted(key[:8] for key in self.jobs))
        run = self._find("sweep_keys", keys)
        if run is None:
            recipe = next(iter(self.jobs.values())).trial.config.name
            tags = {"sweep_keys": keys, "recipe": recipe, "driver": this_driver()} | SOURCE
            name = f"{self.study.name} on {recipe}"
            return self.client.create_run(self.experiment_id, tags=tags, run_name=name).info.run_id
        self.client.set_tag(run.info.run_id, "driver", this_driver())
        self.client.update_run(run.info.run_id, status="RUNNING")
        return run.info.run_id

    def _monitor_system(self) -> None:
        """Log CPU, memory, network and, with nvidia-ml-py, GPU of the driver's machine to the sweep's run."""
        if self.monitor is None:
            self.monitor = SystemMetricsMonitor(
                self.parent_id, SAMPLING_SECONDS, resume_logging=True, tracking_uri=self.uri
            )
            self.monitor.start()

    def _find(self, tag: str, value: str) -> Run | None:
        """The latest run with this tag."""
        found = self.client.search_runs([self.experiment_id], f"tags.{tag} = '{value}'", max_results=1)
        return found[0] if found else None

    def _start(self, job: Job) -> None:
        self._monitor_system()
        run = self._run_of(job)
        if run is not None and run.info.status == "FINISHED":
            self.client.delete_run(run.info.run_id)
            run = None
        self._open(job, run)

    def _run_of(self, job: Job) -> Run | None:
        """The run of a trial; deleted if its arm was renamed since, because MLflow cannot change parameters."""
        run = self._find("trial_key", job.key)
        if run is not None and run.info.run_name != job.trial.name:
            self.client.delete_run(run.info.run_id)
            return None
        return run

    def _complete(self, key: str, record: Record) -> str:
        run = self._run_of(self.jobs[key])
        if run is None or run.info.status != ("FINISHED" if record.status == "ok" else "FAILED"):
            run_id = self._open(self.jobs[key], run)
            self._log_record(self.jobs[key], record)
            return run_id
        if run.data.tags.get(PARENT) != self.parent_id:  # show it under the latest sweep
            self.client.set_tag(run.info.run_id, PARENT, self.parent_id)
        return run.info.run_id

    def _open(self, job: Job, run: Run | None) -> str:
        if run is None:
            tags = {"trial_key": job.key} | tags_at_start(job, self.parent_id) | SOURCE
            run = self.client.create_run(self.experiment_id, tags=tags, run_name=job.trial.name)
        run_id = run.info.run_id
        missing = [Param(*setting) for setting in parameters(job).items() if setting[0] not in run.data.params]
        for first in range(0, len(missing), MOST_PARAMETERS):
            self.client.log_batch(run_id, params=missing[first : first + MOST_PARAMETERS])
        if not run.inputs.dataset_inputs:
            self._log_data(run_id, job)
        self.client.log_batch(run_id, tags=_tags(tags_at_start(job, self.parent_id)))
        self.client.update_run(run_id, status="RUNNING")
        self.running[job.key] = run_id
        history = self.client.get_metric_history(run_id, EPOCH)
        self.num_logged_epochs[job.key] = max((int(metric.value) for metric in history), default=0)
        return run_id

    def _log_data(self, run_id: str, job: Job) -> None:
        config = job.trial.config
        data = Dataset(config.name, job.data_digest, source_type="local", source=config.data.root)
        inputs = [DatasetInput(data, tags=[])]
        try:
            self.client.log_inputs(run_id, datasets=inputs)
        except MlflowException:  # the server checks and writes in two steps: another sweep came between
            self.client.log_inputs(run_id, datasets=inputs)

    def _log_epochs(self, key: str, curves: Sequence[dict[str, float]]) -> None:
        """Log the epochs that are not logged yet; a resumed training reports its earlier ones again."""
        for numbers in curves:
            epoch = int(numbers["epoch"])
            if epoch > self.num_logged_epochs[key]:
                self.client.log_batch(self.running[key], metrics=_metrics(epoch_metrics(numbers), step=epoch))
                self.num_logged_epochs[key] = epoch

    def _log_record(self, job: Job, record: Record) -> None:
        run_id, folder = self.running[job.key], self.store.folder(job.key)
        self._log_epochs(job.key, record.curves)
        tags = _tags(tags_at_end(record, folder))
        self.client.log_batch(run_id, metrics=_metrics(final_metrics(record), step=0), tags=tags)
        self.client.log_dict(run_id, record.config, "config.yaml")
        self.client.log_dict(run_id, record.content(), "record.json")
        self._log_table(run_id, "per_class", class_rows(record))
        if record.pictures:
            self.client.log_artifacts(run_id, str(folder / "pictures"), "pictures")
        self.client.set_terminated(run_id, "FINISHED" if record.status == "ok" else "FAILED")
        del self.running[job.key]

    def _log_table(self, run_id: str, name: str, rows: list[dict[str, Any]]) -> None:
        """Log rows as a table; unlike MLflow's `log_table`, a second call replaces it."""
        if rows:
            self.client.log_text(run_id, as_table(rows), f"{name}.json")
            self.client.set_tag(run_id, TABLES, json.dumps([{"path": f"{name}.json", "type": "table"}]))


def _metrics(numbers: dict[str, Any], step: int) -> list[Metric]:
    now = int(time.time() * 1000)
    known = {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}
    return [Metric(name, value, now, step) for name, value in known.items()]


def _tags(values: dict[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in values.items()]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
