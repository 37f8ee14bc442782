"""MLflow's database below the folder of a test, as its user sees it, and sweeps that log to it."""

import shutil
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from experiments.tracking.database import sqlite_uri
from experiments.tracking.log import Tracking


class Server:
    """The database below `folder` as a user sees it."""

    def __init__(self, folder: Path) -> None:
        self.uri = sqlite_uri(folder / "mlflow.db")
        self.client = MlflowClient(tracking_uri=self.uri)

    def runs(self) -> tuple[list[Run], list[Run]]:
        """(parents, children) of the study `pair`, oldest first."""
        experiment = self.client.get_experiment_by_name("pair")
        runs = self.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
        children = [run for run in runs if "trial_key" in run.data.tags]
        return [run for run in runs if run not in children], children

    def machines(self) -> list[Run]:
        experiment = self.client.get_experiment_by_name("machine")
        return [] if experiment is None else self.client.search_runs([experiment.experiment_id])

    def history(self, metric: str) -> list:
        return [each for run in self.machines() for each in self.client.get_metric_history(run.info.run_id, metric)]

    def table(self, run: Run, name: str) -> dict[str, list]:
        """A table as MLflow's own reader finds it, by column."""
        with pytest.MonkeyPatch.context() as environment:  # it asks the server of the environment
            environment.setenv("MLFLOW_TRACKING_URI", self.uri)
            table = self.client.load_table(run.info.experiment_id, name, [run.info.run_id])
        return table.to_dict("list")

    def epochs(self, run: Run) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(run.info.run_id, "loss/total")
        return [(metric.step, metric.value) for metric in history]


@pytest.fixture(autouse=True)
def database(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")


def sent(log: Tracking) -> None:
    """Wait until everything so far is sent."""
    log._background.ask(lambda: None, seconds=60)


def killed(log: Tracking) -> None:
    """Leave a sweep as a killed process does: the operating system closes its files, and nothing else happens."""
    sent(log)
    for runs in log._studies:
        if runs._machine is not None:
            runs._machine._monitor.finish()
    log._server.driver._file.close()
