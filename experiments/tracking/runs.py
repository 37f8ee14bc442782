"""The MLflow runs of one study: one per sweep over the same trials, and below it one per trial.

Everything is logged with explicit ids: MLflow's fluent functions put runs into the Default experiment and crash on a
new database when several processes start at once. Runs are looked up by project, study and trial key, so a sweep that
was killed and started again continues in the same runs.
"""

import math
import time
from collections.abc import Iterator, Sequence

from mlflow.entities import Metric, Run

from core.record import Record
from experiments.jobs import Job
from experiments.store import Store
from experiments.study import Study
from experiments.tracking.confusion import confusion
from experiments.tracking.content import (
    DESCRIPTION,
    LONGEST_TAG,
    PARENT,
    SOURCE,
    TABLES,
    as_table,
    describe_study,
    table_tag,
)
from experiments.tracking.machine import Machine
from experiments.tracking.server import Server
from experiments.tracking.summary import (
    AP,
    INTERVAL,
    arm_results,
    describe_results,
    headline,
    metric_of,
    result_table,
    summary_metrics,
)
from experiments.tracking.trial_run import TrialRun, as_tags, shows, status_of
from experiments.tracking.view import arms_view, view_tag


class StudyRuns:
    """Logs one study; every method waits for the server, and may be called again if the server did not respond.

    Raises:
        UNREACHABLE: if the server does not respond.
    """

    def __init__(self, server: Server, study: Study, jobs: Sequence[Job], store: Store) -> None:
        self.study = study
        self.jobs = {job.key: job for job in jobs}
        self.ids: dict[str, str] = {}  # run id by key
        self._server, self._client, self._store = server, server.client, store
        self._recipe = next(iter(self.jobs.values())).trial.config.name
        seeds = len(study.seeds)
        self._sweep_name = f"{self._recipe}, {seeds} seed{'' if seeds == 1 else 's'}"  # a column shows 20 characters
        self._experiment_id = self._parent_id = ""  # not known yet
        self._open: dict[str, TrialRun] = {}  # by key
        self._unsent: dict[str, list[dict[str, float]]] = {}  # epochs by key
        self._machine: Machine | None = None

    def begin(self) -> None:
        """Find or create the study's experiment and the run of this sweep."""
        if not self._parent_id:
            self._experiment_id = self._server.find_experiment(self.study.name, describe_study(self.study))
            with self._server.project.lock():
                self._parent_id = self._find_parent()

    def start(self, job: Job) -> None:
        """Open the trial's run: continue an unfinished one, replace a finished one.

        Not if another sweep of this project has just finished it, or still logs to it: should that sweep die, this one
        takes over with the first epoch that it trains itself.
        """
        self.begin()
        if self._machine is None:
            self._machine = Machine(self._server, f"{self.study.name}, {self._sweep_name}", self._parent_id)
        with self._server.project.lock():
            run = self._find_trial(job)
            if run is not None and run.info.status == "FINISHED":
                if self._store.finished(job.key) is not None:
                    return
                self._client.delete_run(run.info.run_id)
                run = None
            if run is None or not self._server.is_live_elsewhere(run):
                self._log_to(job, run)

    def epoch(self, job: Job, numbers: dict[str, float]) -> None:
        """Note an epoch; `send_epochs` sends all that were noted."""
        self._unsent.setdefault(job.key, []).append(numbers)

    def send_epochs(self) -> None:
        while self._unsent:
            key, curves = next(iter(self._unsent.items()))
            if key not in self._open:
                self.begin()
                self._log_to(self.jobs[key], self._find_trial(self.jobs[key]))
            self._open[key].log_epochs(curves)
            del self._unsent[key]

    def end(self, job: Job, record: Record) -> None:
        self._unsent.pop(job.key, None)  # the record has them
        if job.key in self._open:
            self._open[job.key].log_record(record, self._store.folder(job.key))
            del self._open[job.key]

    def finish(self, records: dict[str, Record]) -> Iterator[None]:
        """Log what MLflow lacks, and end the run of the sweep; in steps.

        Trials may come from the store, or have ended while the server did not respond. Runs of trials without a record
        are marked as killed.
        """
        self.begin()
        found: dict[str, Run] = {}
        for run in self._server.runs([self._experiment_id], "tags.trial_key != ''"):
            found.setdefault(run.data.tags["trial_key"], run)  # the latest
        yield
        for key, record in records.items():
            self._complete(self.jobs[key], record, found.get(key))
            yield
        instances = confusion(self.study, [*self.jobs.values()], records, self._store)
        if instances:
            self._client.log_text(self._parent_id, as_table(instances), "confusion.json")
            self._client.set_tag(self._parent_id, TABLES, table_tag("confusion"))
        yield
        self._summarize(records)
        self._end_sweep(records)

    def _summarize(self, records: dict[str, Record]) -> None:
        """Show on the run of the sweep what the arms reached; an arm that has no result any more shows NaN."""
        jobs = [*self.jobs.values()]
        results = arm_results(self.study, jobs, records)
        shown = self._client.get_run(self._parent_id).data.metrics
        former = [name for name in shown if name.startswith((f"{AP}/", f"{INTERVAL}/"))]
        found = dict.fromkeys(former, math.nan) | summary_metrics(results)
        now = int(1000 * time.time())
        changed = [Metric(name, value, now, 0) for name, value in found.items() if not _equal(shown.get(name), value)]
        description = describe_results(self.study, self._recipe, results)[:LONGEST_TAG]
        self._client.log_batch(self._parent_id, metrics=changed, tags=as_tags({DESCRIPTION: description}))
        line = headline(self._sweep_name, results)
        if line and self._server.is_own:  # of an experiment MLflow shows the first line above the runs
            table = result_table(self.study, self._recipe, results)
            text = f"{line}\n\n{table}\n\n{describe_study(self.study)}"
            self._client.set_experiment_tag(self._experiment_id, DESCRIPTION, text)
            view = arms_view(f"arms, {self._sweep_name}", self._parent_id, now)
            self._client.set_experiment_tag(self._experiment_id, view_tag(self._sweep_name), view)

    def _complete(self, job: Job, record: Record, run: Run | None) -> None:
        if job.key not in self._open:
            run = self._unless_renamed(job, run)
            if run is not None and run.info.status == "FINISHED" and not shows(run, record):
                self._client.delete_run(run.info.run_id)  # of an earlier training
                run = None
            if run is not None and shows(run, record):
                self.ids[job.key] = run.info.run_id
                if run.data.tags.get(PARENT) != self._parent_id:  # show it under the latest sweep
                    self._client.set_tag(run.info.run_id, PARENT, self._parent_id)
                return
            self._log_to(job, run)
        self.end(job, record)

    def _end_sweep(self, records: dict[str, Record]) -> None:
        if self._machine is not None:
            self._machine.finish()
            self._machine = None
        for key, run in [*self._open.items()]:
            run.end("KILLED")
            del self._open[key]
        missing = len(records) < len(self.jobs)
        failed = any(status_of(record) == "FAILED" for record in records.values())
        self._client.set_terminated(self._parent_id, "KILLED" if missing else "FAILED" if failed else "FINISHED")

    def _find_parent(self) -> str:
        """The run of the sweep over exactly these trials; created if missing."""
        keys = "-".join(sorted(key[:8] for key in self.jobs))
        run = self._unless_of_other_arms(self._find("sweep_keys", keys))
        if run is None:
            tags = {"sweep_keys": keys, "recipe": self._recipe} | self._server.tags() | SOURCE
            return self._client.create_run(self._experiment_id, tags=tags, run_name=self._sweep_name).info.run_id
        self._client.log_batch(run.info.run_id, tags=as_tags(self._server.tags()))
        self._client.update_run(run.info.run_id, status="RUNNING", name=self._sweep_name)
        return run.info.run_id

    def _find(self, tag: str, value: str) -> Run | None:
        """The latest run of this project with this tag."""
        return next(self._server.runs([self._experiment_id], f"tags.{tag} = '{value}'"), None)

    def _find_trial(self, job: Job) -> Run | None:
        return self._unless_renamed(job, self._find("trial_key", job.key))

    def _unless_renamed(self, job: Job, run: Run | None) -> Run | None:
        """The run of a trial; deleted if its arm was renamed since, because MLflow cannot change parameters."""
        if run is not None and run.info.run_name != job.trial.name:
            self._client.delete_run(run.info.run_id)
            return None
        return run

    def _unless_of_other_arms(self, run: Run | None) -> Run | None:
        """The run of a sweep; deleted if it shows an arm that was renamed since: no metric of a run can be deleted."""
        names = {metric_of(arm) for arm in self.study.arms}
        if run is not None and any(name.startswith(f"{AP}/") and name not in names for name in run.data.metrics):
            self._client.delete_run(run.info.run_id)
            return None
        return run

    def _log_to(self, job: Job, run: Run | None) -> None:
        """Open this run of a trial, or a new one."""
        self._open[job.key] = TrialRun(self._server, self._experiment_id, self._parent_id, job, run)
        self.ids[job.key] = self._open[job.key].id


def _equal(shown: float | None, value: float) -> bool:
    return shown == value or (shown is not None and math.isnan(shown) and math.isnan(value))
