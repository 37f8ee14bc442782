"""Plots and tables get to the run of the sweep, and nothing that MLflow does fails the stage."""

import shutil
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from experiments.jobs import list_jobs
from experiments.params import Resources
from experiments.provenance import Provenance
from experiments.results.write import write_results
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import run_one_by_one
from experiments.tracking import attach as attach_module
from experiments.tracking import server as tracking_server
from experiments.tracking.attach import main
from experiments.tracking.database import sqlite_uri
from experiments.tracking.log import Tracking


@pytest.fixture
def parent(
    study: Study,
    made_from: Provenance,
    empty_database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_training: list,
) -> str:
    """The run of a sweep over `pair`, whose results with a plot and a table are in the working directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(empty_database, "mlflow.db")
    store, jobs = Store(tmp_path / "store"), list_jobs(study, made_from)
    log = Tracking([(study, jobs)], store, tmp_path)
    run_one_by_one(jobs, store, Resources(), [log], progress=False)
    records = {job.key: store.finished(job.key) for job in jobs}
    log.finish({"pair": records})
    ids = log.run_ids("pair")
    records = {key: record.changed(mlflow_run_id=ids[key]) for key, record in records.items()}
    write_results(study, jobs, records, store, Path("results"))
    for name in ("plots/pair.png", "plots/pair_other.png", "plots/pair_pictures.png", "tables/pair.md"):
        path = Path("results", name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    monkeypatch.setattr(attach_module, "load_params", lambda path: type("Params", (), {"studies": ("pair", "none")}))
    return MlflowClient(sqlite_uri(tmp_path / "mlflow.db")).get_run(ids[jobs[0].key]).data.tags["mlflow.parentRunId"]


def artifacts(run_id: str) -> list[str]:
    return [file.path for file in MlflowClient(sqlite_uri(Path("mlflow.db").absolute())).list_artifacts(run_id)]


def test_plots_and_tables_of_a_study_are_shown_with_its_sweep(parent: str, capsys: pytest.CaptureFixture) -> None:
    assert artifacts(parent) == ["confusion.json"]
    for _ in range(2):  # twice is once
        assert main([]) == 0
        assert artifacts(parent) == ["confusion.json", "pair.md", "pair.png", "pair_pictures.png"]
    assert f"results/plots/pair_pictures.png: in MLflow, run {parent}\n" in capsys.readouterr().out


def test_results_whose_runs_are_elsewhere_are_left_alone(
    parent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    shared = sqlite_uri(Path("mlflow.db").absolute())
    shutil.rmtree(".tracking")  # as in another clone that has pulled the results, on the same server
    shutil.move("mlflow.db", "server.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared.replace("mlflow.db", "server.db"))
    assert main([]) == 0
    assert "nothing to attach" in capsys.readouterr().out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared.replace("mlflow.db", "new.db"))  # a server without these runs
    assert main([]) == 0
    assert "nothing to attach" in capsys.readouterr().out
    shutil.move("server.db", "mlflow.db")
    assert artifacts(parent) == ["confusion.json"]


def test_a_server_that_does_not_respond_is_a_warning(
    parent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    class Gone(MlflowClient):
        def get_run(self, run_id: str) -> None:
            raise MlflowException("connection refused at http://me:secret@host\n and much more")

    monkeypatch.setattr(tracking_server, "MlflowClient", Gone)
    assert main([]) == 0
    told = capsys.readouterr().err
    assert told == (
        "warning: MLflow lacks plots and tables (connection refused at http://***@host); the same command sends them\n"
    )


def test_a_damaged_record_is_a_warning(parent: str, capsys: pytest.CaptureFixture) -> None:
    record = next(Path("results/pair/trials").glob("*.json"))
    record.write_text("{")
    assert main([]) == 0
    assert str(record) in capsys.readouterr().err


def test_results_without_runs_are_none_of_mlflows_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(attach_module, "load_params", lambda path: type("Params", (), {"studies": ("pair",)}))
    assert main([]) == 0
    assert "nothing to attach" in capsys.readouterr().out
    assert not (tmp_path / "mlflow.db").exists()
