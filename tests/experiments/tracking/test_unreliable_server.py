"""A server that is slow or gone keeps no trial waiting, and gets everything later."""

import time
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from experiments.jobs import Job
from experiments.params import Resources
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import run_job, run_one_by_one
from experiments.tracking import server as tracking_server
from experiments.tracking.log import Tracking
from tests.experiments.tracking.own_database import Server, database, sent

__all__ = ["database"]  # a fixture


class Fragile(MlflowClient):
    """A client whose server is gone when `broken` is set."""

    broken = False

    def __getattribute__(self, name: str):
        if not name.startswith("_") and name != "broken" and Fragile.broken:
            raise MlflowException("connection refused\n and much more")
        return super().__getattribute__(name)


def test_a_server_that_stops_answering_stops_no_trial_and_is_told_at_the_end(
    study: Study, jobs: list[Job], tmp_path: Path, monkeypatch, fake_training: list, caplog
) -> None:
    monkeypatch.setattr(tracking_server, "MlflowClient", Fragile)
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    log = Tracking([(study, jobs)], store, tmp_path)
    log.started(jobs[0])
    sent(log)
    monkeypatch.setattr(Fragile, "broken", True)
    run_one_by_one(jobs, store, Resources(), [log], progress=False)
    sent(log)
    assert caplog.text.count("connection refused; trials continue and are logged at the end") == 1
    assert "much more" not in caplog.text
    records = {job.key: store.finished(job.key) for job in jobs}
    log.finish({"pair": records})
    assert log.problem == f"MLflow at {server.uri}: connection refused"

    # the same command sends the rest
    monkeypatch.setattr(Fragile, "broken", False)
    log = Tracking([(study, jobs)], store, tmp_path)
    log.finish({"pair": records})
    assert log.problem == ""
    parents, children = server.runs()
    assert [run.info.status for run in parents + children] == ["FINISHED"] * 3
    assert [server.epochs(run) for run in children] == [[(1, 1.0), (2, 0.5)]] * 2


def test_a_slow_server_keeps_no_trial_waiting_and_gets_everything_in_order(
    study: Study, jobs: list[Job], tmp_path: Path, monkeypatch, fake_training: list
) -> None:
    class Slow(MlflowClient):
        def __getattribute__(self, name: str):
            if not name.startswith("_"):
                time.sleep(0.1)
            return super().__getattribute__(name)

    monkeypatch.setattr(tracking_server, "MlflowClient", Slow)
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    log = Tracking([(study, jobs)], store, tmp_path)
    record = run_job(jobs[0], store, Resources(), lambda numbers: None)
    started = time.monotonic()
    log.started(jobs[0])
    for numbers in record.curves:
        log.epoch(jobs[0], numbers)
    log.ended(jobs[0], record)
    assert time.monotonic() - started < 0.05
    log.finish({"pair": {jobs[0].key: record}}, seconds=60)
    assert log.problem == ""
    (run,) = server.runs()[1]
    assert (run.info.status, server.epochs(run)) == ("FINISHED", [(1, 1.0), (2, 0.5)])

    log = Tracking([(study, jobs)], store, tmp_path)
    log.finish({"pair": {jobs[0].key: record}}, seconds=0.1)
    assert log.problem == f"MLflow at {server.uri}: not all was sent within 0 s"
    sent(log)
