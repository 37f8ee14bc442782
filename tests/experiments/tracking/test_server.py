"""A real MLflow server on loopback, into which two sweeps log at the same time."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from experiments.jobs import collect, list_jobs, waiting
from experiments.params import Resources
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import run_one_by_one
from experiments.tracking.log import Tracking

SECONDS_TO_START = 120


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Its address; database and artifacts lie in a folder that the sweeps do not know."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'runs.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        (folder / "log.txt").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + SECONDS_TO_START
        while not answers(f"{address}/health"):
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < deadline, (folder / "log.txt").read_text()
            time.sleep(0.2)
        yield address
        process.terminate()


@pytest.mark.slow
def test_two_sweeps_log_to_one_server_at_the_same_time(
    study: Study, made_from: Provenance, server: str, tmp_path: Path, monkeypatch, fake_training: list
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)

    def sweep(number: int) -> dict[str, str]:
        trials = tuple(replace(trial, seed=number) for trial in study.trials)
        # the first and the last write into the same experiment
        of_number = replace(study, name="other" if number == 1 else "pair", trials=trials)
        store, jobs = Store(tmp_path / "store"), list_jobs(of_number, made_from)
        log = Tracking([(of_number, jobs)], store, tmp_path)
        run_one_by_one(waiting(jobs, store), store, Resources(), [log], progress=False)
        log.finish({of_number.name: collect(jobs, store)})
        assert (log.lost, log.problem) == (False, "")
        return log.run_ids(of_number.name)

    with ThreadPoolExecutor(3) as threads:
        run_ids = [*threads.map(sweep, range(3))]

    client = MlflowClient(tracking_uri=server)
    names = {experiment.name for experiment in client.search_experiments()}
    assert names == {"Default", "pair", "other"}
    assert client.search_runs([client.get_experiment_by_name("Default").experiment_id]) == []
    of_name = {name: client.get_experiment_by_name(name) for name in ("pair", "other")}
    assert of_name["other"].tags["mlflow.note.content"].startswith("q\n\nExpected: a < b")
    runs = {name: client.search_runs([experiment.experiment_id]) for name, experiment in of_name.items()}
    assert {run.info.status for of_study in runs.values() for run in of_study} == {"FINISHED"}
    children = {
        name: {run.info.run_id for run in of_study if "trial_key" in run.data.tags} for name, of_study in runs.items()
    }
    assert children["other"] == set(run_ids[1].values())
    assert children["pair"] == set(run_ids[0].values()) | set(run_ids[2].values())
    for run_id in children["pair"] | children["other"]:
        assert [metric.step for metric in client.get_metric_history(run_id, "loss/total")] == [1, 2]
        files = {file.path for file in client.list_artifacts(run_id)}
        assert files == {"config.yaml", "per_class.json", "pictures", "record.json"}
        picture = client.list_artifacts(run_id, "pictures")[0].path
        assert Path(client.download_artifacts(run_id, picture, str(tmp_path))).read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "mlartifacts").exists()
    assert answers(server)  # the pages of `make ui`


def test_a_server_that_is_not_there_is_named_before_anything_runs(
    study: Study, made_from: Provenance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(
        ValueError, match=r"MLflow at http://\*\*\*@127\.0\.0\.1:9: .*run the same command without"
    ) as raised:
        Tracking([(study, list_jobs(study, made_from))], Store(tmp_path / "store"), tmp_path)
    assert "secret" not in str(raised.value)
