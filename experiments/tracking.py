"""What MLflow shows of a study: a parent run per sweep, a child run per trial. The only file that imports MLflow.

Only the driver's process writes, with explicit ids: MLflow's fluent functions lose runs to the Default experiment and
crash on a fresh database when several processes start at once. A run is found again by its trial's key, so a sweep
that was killed and started again goes on in the same runs.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, Experiment, Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_SOURCE_NAME,
)

from experiments.recipe import leaves
from experiments.store import Store, without_nan
from experiments.study import Study
from experiments.sweep import Job

EPOCH = "epoch"  # written in one batch with the other numbers of its epoch: tells which epochs are logged


class Tracking:
    """Logs one study to MLflow. An observer of a sweep.

    `MLFLOW_TRACKING_URI` names a server; without it everything lies in `folder` (mlflow.db, mlartifacts/).
    """

    def __init__(self, study: Study, jobs: Sequence[Job], store: Store, folder: Path) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        folder = folder.absolute()  # a relative path would be another database in another working directory
        self.client = MlflowClient(tracking_uri=uri or f"sqlite:///{folder / 'mlflow.db'}")
        self.study = study
        self.store = store
        self.jobs = {job.key: job for job in jobs}
        self.experiment_id = self._find_experiment(None if uri else (folder / "mlartifacts").as_uri())
        self.parent_id = self._find_parent()
        self.running: dict[str, str] = {}  # run id by key
        self.num_logged_epochs: dict[str, int] = {}

    def started(self, job: Job) -> None:
        """Open the trial's run; one that was left unfinished goes on, one that had finished is replaced."""
        if job.key not in self.jobs:
            return
        run = self._find_run(job.key)
        if run is not None and run.info.status == "FINISHED":
            self.client.delete_run(run.info.run_id)
            run = None
        self._open(self.jobs[job.key], run)  # another study may have asked for it under another name

    def epoch(self, job: Job, numbers: dict[str, float]) -> None:
        if job.key in self.running:
            self._log_epochs(job.key, [numbers])

    def ended(self, job: Job, record: dict[str, Any]) -> None:
        if job.key in self.running:
            self._log_record(job, record)

    def complete(self, records: dict[str, dict[str, Any]]) -> None:
        """Log the trials that this sweep took from the store and that MLflow does not know."""
        for key, record in records.items():
            run = self._find_run(key)
            if run is not None and run.info.status == ("FINISHED" if record["status"] == "ok" else "FAILED"):
                if run.data.tags.get(MLFLOW_PARENT_RUN_ID) != self.parent_id:  # shown under the latest sweep
                    self.client.set_tag(run.info.run_id, MLFLOW_PARENT_RUN_ID, self.parent_id)
                continue
            self._open(self.jobs[key], run)
            self._log_record(self.jobs[key], record)

    def close(self, records: dict[str, dict[str, Any]]) -> None:
        """End the sweep's run, and as killed those of trials that have no record."""
        for run_id in self.running.values():
            self.client.set_terminated(run_id, "KILLED")
        self.running.clear()
        missing = len(records) < len(self.jobs)
        failed = any(record["status"] != "ok" for record in records.values())
        self.client.set_terminated(self.parent_id, "KILLED" if missing else "FAILED" if failed else "FINISHED")

    def _find_experiment(self, artifact_location: str | None) -> str:
        experiment: Experiment | None = self.client.get_experiment_by_name(self.study.name)
        if experiment is None:
            description = f"{self.study.question} Expected: {self.study.expectation} ({self.study.source})"
            return self.client.create_experiment(
                self.study.name, artifact_location, tags={"mlflow.note.content": description}
            )
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        return experiment.experiment_id

    def _find_parent(self) -> str:
        """The run of the sweep over exactly these trials."""
        keys = "-".join(sorted(key[:8] for key in self.jobs))
        found = self.client.search_runs([self.experiment_id], f"tags.sweep_keys = '{keys}'", max_results=1)
        if found:
            self.client.update_run(found[0].info.run_id, status="RUNNING")
            return found[0].info.run_id
        recipe = next(iter(self.jobs.values())).trial.config.name
        tags = {"sweep_keys": keys, "recipe": recipe, MLFLOW_SOURCE_NAME: "experiments.run"}
        return self.client.create_run(
            self.experiment_id, tags=tags, run_name=f"{self.study.name} on {recipe}"
        ).info.run_id

    def _find_run(self, key: str) -> Run | None:
        found = self.client.search_runs([self.experiment_id], f"tags.trial_key = '{key}'", max_results=1)
        return found[0] if found else None

    def _open(self, job: Job, run: Run | None) -> None:
        trial, made_from = job.trial, job.provenance
        if run is None:
            tags = {"trial_key": job.key, MLFLOW_RUN_NAME: trial.name, MLFLOW_SOURCE_NAME: "experiments.run"}
            run = self.client.create_run(self.experiment_id, tags=tags, run_name=trial.name)
            settings = leaves(trial.config.model_dump(mode="json")) | {"arm": trial.arm, "seed": trial.seed}
            parameters = [Param(name, str(value)) for name, value in settings.items()]
            self.client.log_batch(run.info.run_id, params=parameters)
            data = Dataset(
                trial.config.name, job.data_digest, source_type="local", source=str(Path(trial.config.data.root))
            )
            self.client.log_inputs(run.info.run_id, datasets=[DatasetInput(data, tags=[])])
        run_id = run.info.run_id
        tags = {
            MLFLOW_PARENT_RUN_ID: self.parent_id,
            MLFLOW_GIT_COMMIT: made_from.git_revision or "none",
            "git_dirty": str(made_from.git_dirty),
            "data_digest": job.data_digest,
            "code_digest": made_from.code,
        }
        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self.client.update_run(run_id, status="RUNNING")
        self.running[job.key] = run_id
        history = self.client.get_metric_history(run_id, EPOCH)
        self.num_logged_epochs[job.key] = max((int(metric.value) for metric in history), default=0)

    def _log_epochs(self, key: str, curves: Sequence[dict[str, float]]) -> None:
        """Log the epochs that are not logged yet; a resumed training reports its first ones again."""
        for numbers in curves:
            if numbers["epoch"] > self.num_logged_epochs[key]:
                self.client.log_batch(self.running[key], metrics=_metrics(numbers, step=int(numbers["epoch"])))
                self.num_logged_epochs[key] = int(numbers["epoch"])

    def _log_record(self, job: Job, record: dict[str, Any]) -> None:
        run_id = self.running[job.key]
        self._log_epochs(job.key, record["curves"])
        final = {f"final/{name}": value for name, value in record["metrics"].items()}
        final |= {f"class/{_plain(name)}": value for name, value in record["per_class"].items()}
        final |= {name: record[name] for name in ("seconds", "peak_memory_mb")}
        tags = {"status": record["status"], "device": record["device"] or "unknown", "reason": record["reason"]}
        tags["checkpoint"] = str(self.store.folder(job.key) / "checkpoint.pt")
        # the tags may differ from those of the start: a record from the store names the revision that made it
        tags |= {MLFLOW_GIT_COMMIT: record["git_revision"] or "none", "git_dirty": str(record["git_dirty"])}
        self.client.log_batch(
            run_id, metrics=_metrics(final, step=0), tags=[RunTag(name, value) for name, value in tags.items()]
        )
        self.client.log_dict(run_id, record["config"], "config.yaml")
        self.client.log_dict(run_id, without_nan(record), "record.json")
        if record["pictures"]:
            self.client.log_artifacts(run_id, str(self.store.folder(job.key) / "pictures"), "pictures")
        self.client.set_terminated(run_id, "FINISHED" if record["status"] == "ok" else "FAILED")
        del self.running[job.key]


def _metrics(numbers: dict[str, Any], step: int) -> list[Metric]:
    now = int(time.time() * 1000)
    return [Metric(name, value, now, step) for name, value in without_nan(numbers).items() if value is not None]


def _plain(name: str) -> str:
    """A class name in the letters that MLflow takes in the name of a metric."""
    return "".join(letter if letter.isalnum() or letter in " _-." else "_" for letter in name)
