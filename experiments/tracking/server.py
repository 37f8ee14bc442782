"""The MLflow server or database that a sweep logs to, and which of its runs belong to this project."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from experiments.tracking.content import DESCRIPTION, PARENT
from experiments.tracking.database import ARTIFACTS, DATABASE, prepare, sqlite_uri
from experiments.tracking.driver import Driver, has_died
from experiments.tracking.project import Project


@dataclass(frozen=True)
class Server:
    """Others may use it too: runs of other projects are never changed."""

    client: MlflowClient
    uri: str
    artifacts: str | None  # where experiments keep artifacts; None: where the server wants them
    project: Project
    driver: Driver

    @property
    def is_own(self) -> bool:
        """Whether it is the project's own database, which nobody else uses."""
        return self.artifacts is not None

    def find_experiment(self, name: str, description: str) -> str:
        """The id of the experiment of this name; created if missing.

        Its description ends with this one; what the last sweep found may stand before it.
        """
        experiment: Experiment | None = self.client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return self.client.create_experiment(name, self.artifacts, {DESCRIPTION: description})
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            experiment = self.client.get_experiment_by_name(name)  # another sweep was faster
        elif experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        if not experiment.tags.get(DESCRIPTION, "").endswith(description):
            self.client.set_experiment_tag(experiment.experiment_id, DESCRIPTION, description)
        return experiment.experiment_id

    def runs(self, experiments: Sequence[str], condition: str) -> Iterator[Run]:
        """The runs of this project that meet a condition, the latest first."""
        if not self.is_own:  # the project's own database may hold runs from before they named their project
            condition += f" and tags.project = '{self.project.id}'"
        return _all_pages(lambda token: self.client.search_runs([*experiments], condition, page_token=token))

    def end_abandoned(self) -> None:
        """End the runs, of every study, whose driver was killed; this sweep reopens those that it continues."""
        experiments = _all_pages(lambda token: self.client.search_experiments(page_token=token))
        for run in self.runs([each.experiment_id for each in experiments], "attributes.status = 'RUNNING'"):
            if has_died(run.data.tags.get("driver", ""), self.project.drivers):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def parent_of(self, run_ids: Sequence[str]) -> str | None:
        """The run of the sweep that runs of trials are shown under; None if none of them is a run of this project."""
        for run_id in run_ids:
            try:
                run = self.client.get_run(run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                continue
            if self.is_own or run.data.tags.get("project") == self.project.id:
                return run.data.tags.get(PARENT)
        return None

    def is_live_elsewhere(self, run: Run) -> bool:
        """Whether another sweep that may still be alive logs to this run."""
        driver = run.data.tags.get("driver", "")
        is_open = run.info.status == "RUNNING" and driver != self.driver.name
        return is_open and not has_died(driver, self.project.drivers)

    def tags(self) -> dict[str, str]:
        """Whose run it is."""
        return {"project": self.project.id, "driver": self.driver.name}

    def close(self) -> None:
        """Say that this sweep has ended; what it has left open may be ended by the next."""
        self.driver.close()


def tracking_uri(folder: Path) -> str:
    """The server that `MLFLOW_TRACKING_URI` names, else the database of the project in `folder`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(folder.absolute() / DATABASE)


def connect(folder: Path) -> Server:
    """Use the server of `tracking_uri` for the project in `folder`.

    Raises:
        ValueError, UNREACHABLE: if there is no way to it.
    """
    folder = folder.absolute()  # a relative path would depend on the working directory
    uri, artifacts = tracking_uri(folder), None
    if database := _database_file(uri):
        artifacts = folder / ARTIFACTS if database == folder / DATABASE else None
        prepare(database, artifacts)
    project = Project(folder)
    client = MlflowClient(tracking_uri=uri)
    return Server(client, uri, artifacts and artifacts.as_uri(), project, Driver(project.drivers))


def _database_file(uri: str) -> Path | None:
    """The file of an SQLite database; None for every other address."""
    try:
        url = make_url(uri)
    except ArgumentError:  # a path
        return None
    in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(url.database).absolute() if in_file else None


def _all_pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    page = search(None)
    yield from page
    while page.token:
        page = search(page.token)
        yield from page
