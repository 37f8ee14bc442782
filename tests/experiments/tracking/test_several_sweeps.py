"""Sweeps that log to one database: what each may continue, end or must leave alone."""

from dataclasses import replace
from pathlib import Path

from experiments.jobs import Job
from experiments.params import Resources
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import run_job, run_one_by_one
from experiments.tracking.database import sqlite_uri
from experiments.tracking.log import Tracking
from tests.experiments.tracking.own_database import Server, database, killed, sent

__all__ = ["database"]  # a fixture


def test_what_a_killed_driver_left_open_is_ended_and_what_another_runs_is_left(
    study: Study, jobs: list[Job], tmp_path: Path
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    dead = Tracking([(study, jobs[:1]), (replace(study, name="other"), jobs)], store, tmp_path)
    dead.started(jobs[0])
    killed(dead)
    alive = Tracking([(study, jobs)], store, tmp_path)
    alive.started(jobs[1])
    sent(alive)

    # the study has changed meanwhile, and the other of the killed sweep does not run again: no run is taken up
    Tracking([(study, jobs[1:])], store, tmp_path).finish({})
    status = {run.info.run_id: run.info.status for runs in server.runs() for run in runs}
    of_dead = [dead._studies[0]._parent_id, dead.run_ids("pair")[jobs[0].key]]
    of_alive = [alive._studies[0]._parent_id, alive.run_ids("pair")[jobs[1].key]]
    assert [status.pop(run_id) for run_id in of_dead + of_alive] == ["KILLED", "KILLED", "RUNNING", "RUNNING"]
    assert list(status.values()) == ["KILLED"]  # the sweep that has just ended
    assert server.client.get_run(dead._studies[1]._parent_id).info.status == "KILLED"
    alive.finish({})


def test_two_sweeps_over_one_trial_log_one_run_with_every_epoch_once(
    study: Study, jobs: list[Job], tmp_path: Path, fake_training: list
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    first, second = (Tracking([(study, jobs)], store, tmp_path) for _ in range(2))
    first.started(jobs[0])
    sent(first)
    second.started(jobs[0])  # waits for the lock of the store
    sent(second)
    record = run_job(jobs[0], store, Resources(), lambda numbers: first.epoch(jobs[0], numbers))
    first.ended(jobs[0], record)
    second.ended(jobs[0], record)  # found finished
    for log in (first, second):
        log.finish({"pair": {jobs[0].key: record}})
    (run,) = server.runs()[1]
    assert run.info.status == "FINISHED"
    assert server.epochs(run) == [(1, 1.0), (2, 0.5)]
    assert first.run_ids("pair") == second.run_ids("pair") == {jobs[0].key: run.info.run_id}

    # the first dies in its training, the second trains the rest
    store.forget(jobs[1].key)
    first, second = (Tracking([(study, jobs)], store, tmp_path) for _ in range(2))
    first.started(jobs[1])
    sent(first)
    second.started(jobs[1])
    first.epoch(jobs[1], {"epoch": 1, "epochs": 2, "seconds": 0.5, "loss/total": 1.0})
    killed(first)
    record = run_job(jobs[1], store, Resources(), lambda numbers: second.epoch(jobs[1], numbers))
    second.ended(jobs[1], record)
    second.finish({"pair": {jobs[1].key: record}})
    run = server.client.get_run(second.run_ids("pair")[jobs[1].key])
    assert len(server.runs()[1]) == 2
    assert (run.info.status, server.epochs(run)) == ("FINISHED", [(1, 1.0), (2, 0.5)])


def test_clones_on_one_server_leave_the_runs_of_each_other_alone(
    study: Study, jobs: list[Job], tmp_path: Path, monkeypatch, fake_training: list
) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow's own place for artifacts is here
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(tmp_path / "mlflow.db"))
    server = Server(tmp_path)
    clones = {name: Store(tmp_path / name / "store") for name in ("one", "two")}
    for store in clones.values():
        store.root.parent.mkdir()

    def sweep(name: str) -> Tracking:
        return Tracking([(study, jobs)], clones[name], clones[name].root.parent)

    ids = {}
    for name, store in clones.items():
        log = sweep(name)
        run_one_by_one(jobs, store, Resources(), [log], progress=False)
        log.finish({"pair": {job.key: store.finished(job.key) for job in jobs}})
        ids[name] = log.run_ids("pair")
    parents, children = server.runs()
    assert [run.info.status for run in parents + children] == ["FINISHED"] * 6
    assert {run.info.run_id for run in children} == {*ids["one"].values(), *ids["two"].values()}
    assert [server.epochs(run) for run in children] == [[(1, 1.0), (2, 0.5)]] * 4

    # the first trains anew, and is killed; the second neither ends nor continues what that left open
    log = sweep("one")
    clones["one"].forget(jobs[0].key)
    log.started(jobs[0])
    killed(log)
    left_open = log.run_ids("pair")[jobs[0].key]
    log = sweep("two")
    log.started(jobs[0])
    log.finish({})
    assert server.client.get_run(left_open).info.status == "RUNNING"
    sweep("one").finish({})
    assert server.client.get_run(left_open).info.status == "KILLED"
    assert {server.client.get_run(run_id).info.status for run_id in ids["two"].values()} == {"FINISHED"}
