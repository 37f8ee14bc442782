"""The machine is watched in an experiment of its own."""

import time
from pathlib import Path

import pytest

from experiments.jobs import Job
from experiments.store import Store
from experiments.study import Study
from experiments.tracking import machine as tracking_machine
from experiments.tracking.log import Tracking
from tests.experiments.tracking.own_database import Server, database, sent

__all__ = ["database"]  # a fixture


def test_the_machine_is_watched_while_trials_run(
    study: Study, jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_machine, "SAMPLING_SECONDS", 0.1)
    server, seen = Server(tmp_path), []
    for _ in range(2):  # a second sweep goes on in the same run
        log = Tracking([(study, jobs)], Store(tmp_path / "store"), tmp_path)
        sent(log)
        assert log._studies[0]._machine is None  # nothing runs
        log.started(jobs[0])
        deadline = time.monotonic() + 20
        while not (history := server.history("system/cpu_utilization_percentage")) and time.monotonic() < deadline:
            time.sleep(0.2)
        log.finish({})
        seen.append(len(history))
    (run,) = server.machines()
    assert (run.info.run_name, run.info.status) == ("pair, tiny, 1 seed", "FINISHED")
    assert run.data.metrics["system/system_memory_usage_megabytes"] > 100
    assert all(seen)
    assert server.runs()[0][0].data.metrics == {}  # among the results there is none of it
