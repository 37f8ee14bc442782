"""The MLflow run of one trial: settings at its start, numbers of each epoch, and at its end what the record has."""

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from mlflow.entities import Dataset, DatasetInput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from core.record import Record
from experiments.jobs import Job
from experiments.search.stopped_early import is_stopped_early
from experiments.tracking.content import (
    SOURCE,
    TABLES,
    as_table,
    class_rows,
    epoch_metrics,
    final_metrics,
    parameters,
    table_tag,
    tags_at_end,
    tags_at_start,
)
from experiments.tracking.server import Server

EPOCH = "epoch"  # logged in one batch with the other numbers of its epoch: shows which epochs are logged


class TrialRun:
    """A run that is being logged: a new one, or `run`, which is continued. Every method waits for the server.

    What is logged twice, also by two sweeps at once, counts once: equal numbers get equal times, and MLflow keeps one
    of them.
    """

    def __init__(self, server: Server, experiment_id: str, parent_id: str, job: Job, run: Run | None) -> None:
        self._client = server.client
        tags = {"trial_key": job.key} | tags_at_start(job, parent_id) | server.tags() | SOURCE
        if run is None:
            self._run = self._client.create_run(experiment_id, tags=tags, run_name=job.trial.name)
            history = []
        else:
            self._run = run
            self._client.update_run(run.info.run_id, status="RUNNING")
            history = self._client.get_metric_history(run.info.run_id, EPOCH)
        self._logged = {int(metric.value) for metric in history}
        self.id = self._run.info.run_id
        missing = [Param(*setting) for setting in parameters(job).items() if setting[0] not in self._run.data.params]
        self._client.log_batch(self.id, params=missing, tags=[] if run is None else as_tags(tags))
        if not self._run.inputs.dataset_inputs:
            self._log_data(job)

    def log_epochs(self, curves: Sequence[dict[str, float]]) -> None:
        """Log the epochs that are not logged yet; a resumed training reports its earlier ones again."""
        self._client.log_batch(self.id, metrics=self._epochs(curves))
        self._logged |= {int(numbers["epoch"]) for numbers in curves}

    def log_record(self, record: Record, folder: Path) -> None:
        """Log what the record has, with the files in the trial's folder of the store, and end the run."""
        classes = class_rows(record)
        tags = tags_at_end(record, folder) | ({TABLES: table_tag("per_class")} if classes else {})
        metrics = self._epochs(record.curves) + self._metrics(final_metrics(record), record.seconds, step=0)
        self._client.log_batch(self.id, metrics=metrics, tags=as_tags(tags))
        files = {"config.yaml": yaml.safe_dump(record.config), "record.json": json.dumps(record.content(), indent=2)}
        files |= {"per_class.json": as_table(classes)} if classes else {}
        with tempfile.TemporaryDirectory() as written:
            for name, text in files.items():
                (Path(written) / name).write_text(text)
            self._client.log_artifacts(self.id, written)
        if record.pictures:
            self._client.log_artifacts(self.id, str(folder / "pictures"), "pictures")
        self.end(status_of(record))

    def end(self, status: str) -> None:
        self._client.set_terminated(self.id, status)

    def _log_data(self, job: Job) -> None:
        config = job.trial.config
        data = Dataset(config.name, job.data_digest, source_type="local", source=config.data.root)
        inputs = [DatasetInput(data, tags=[])]
        try:
            self._client.log_inputs(self.id, datasets=inputs)
        except MlflowException:  # the server checks and writes in two steps: another sweep came between
            self._client.log_inputs(self.id, datasets=inputs)

    def _epochs(self, curves: Sequence[dict[str, float]]) -> list[Metric]:
        new = [numbers for numbers in curves if int(numbers["epoch"]) not in self._logged]
        return [
            metric
            for numbers in new
            for metric in self._metrics(epoch_metrics(numbers), numbers["seconds"], step=int(numbers["epoch"]))
        ]

    def _metrics(self, numbers: dict[str, Any], seconds: float | None, step: int) -> list[Metric]:
        """Numbers that were known after so many seconds of training."""
        time_ms = self._run.info.start_time + int(1000 * (seconds or 0))
        known = {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}
        return [Metric(name, value, time_ms, step) for name, value in known.items()]


def shows(run: Run, record: Record) -> bool:
    """Whether all of a record was logged to a run; another training of the same trial took another time."""
    if run.info.status != status_of(record):
        return False
    shown = run.data.metrics.get("final/seconds")
    return shown == record.seconds or math.isclose(shown or 0, record.seconds or 0, rel_tol=1e-6)


def status_of(record: Record) -> str:
    """MLflow's status of a run that shows the record; a trial that a search stopped early has not failed."""
    return "FINISHED" if record.status == "ok" or is_stopped_early(record) else "FAILED"


def as_tags(values: dict[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in values.items()]
