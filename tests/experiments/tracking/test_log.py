"""A real MLflow database: a parent run per sweep, one child per trial, nothing twice after a restart."""

import math
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from experiments.jobs import Job, list_jobs
from experiments.params import Resources
from experiments.provenance import Provenance
from experiments.stopped_early import stopped_early
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import crashed, describe_job, run_job, run_one_by_one
from experiments.tracking import machine as tracking_machine
from experiments.tracking import server as tracking_server
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


@pytest.fixture
def jobs(study: Study, made_from: Provenance) -> list[Job]:
    return list_jobs(study, made_from)


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


def test_a_sweep_that_is_killed_and_started_again_leaves_one_run_a_trial(
    study: Study, jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_training: list
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)

    def sweep() -> Tracking:
        return Tracking([(study, jobs)], store, tmp_path)

    # killed in the first trial, after its first epoch: nothing is closed
    log = sweep()
    log.started(jobs[0])
    log.epoch(jobs[0], {"epoch": 1, "epochs": 2, "seconds": 0.5, "loss/total": 1.0})
    killed(log)

    # one trial was finished without MLflow, the other one runs now
    finished = run_job(jobs[0], store, Resources(), lambda numbers: None)
    log = sweep()
    run_one_by_one(jobs[1:], store, Resources(), [log], progress=False)
    records = {jobs[0].key: finished, jobs[1].key: store.finished(jobs[1].key)}
    log.finish({"pair": records})
    run_ids = log.run_ids("pair")

    # and once more, with nothing to do
    log = sweep()
    log.finish({"pair": records})
    assert log.run_ids("pair") == run_ids

    parents, children = server.runs()
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert [(run.info.run_name, run.info.status) for run in children] == [
        ("a-seed0", "FINISHED"),
        ("b-seed0", "FINISHED"),
    ]
    for job, run in zip(jobs, children, strict=True):
        assert run.info.run_id == run_ids[job.key]
        assert server.epochs(run) == [(1, 1.0), (2, 0.5)]
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert (tags["trial_key"], tags["mlflow.source.git.commit"]) == (job.key, "abc")
        assert run.data.metrics["final/mask_AP"] == records[job.key].metrics["mask_AP"]
        assert "final/mask_APl" not in run.data.metrics  # no large object, no number
        assert run.data.metrics["class/star"] == 1.0
        assert run.data.metrics["edges_kept"] == 0.3
        assert (run.data.params["loss.dice"], run.data.params["arm"]) == (
            str(job.trial.config.loss.dice),
            job.trial.arm,
        )
        assert [(data.dataset.name, data.dataset.digest) for data in run.inputs.dataset_inputs] == [
            ("tiny", job.data_digest)
        ]
        names = [file.path for file in server.client.list_artifacts(run.info.run_id)]
        assert names == ["config.yaml", "per_class.json", "pictures", "record.json"]
        assert server.table(run, "per_class.json") == {"class": ["star"], "mask_AP": [1.0]}
        assert len(server.client.list_artifacts(run.info.run_id, "pictures")) >= 6
        assert run.info.artifact_uri.startswith((tmp_path / "mlartifacts").as_uri())

    table = server.table(parents[0], "confusion.json")
    assert table["found_by_neither"] == table["instances"] == [len(store.found(jobs[0].key))] * 2
    assert parents[0].info.run_name == "tiny, 1 seed"
    assert parents[0].data.metrics == {"mask_AP/a": 0.0, "mask_AP/b": 20.0}
    assert "| b | 20.0 | 100 | - | 1 | - | 0.3 |" in parents[0].data.tags["mlflow.note.content"]
    assert [len(server.client.get_metric_history(parents[0].info.run_id, f"mask_AP/{arm}")) for arm in "ab"] == [1, 1]
    assert [(run.data.tags["arm"], run.data.tags["seed"], run.data.tags["loss.dice"]) for run in children] == [
        ("a", "0", "0.0"),
        ("b", "0", "2.0"),
    ]
    description = server.client.get_experiment(parents[0].info.experiment_id).tags["mlflow.note.content"]
    assert description.startswith("Mask AP (tiny, 1 seed): b 20.0, a 0.0\n\n| arm | mask AP |")
    assert "\n\nq\n\nExpected: a < b" in description
    assert description.count("Expected") == 1

    # a trial that is run afresh replaces its run; one that fails says so; one without a record was killed
    log = sweep()
    for job in jobs:
        store.forget(job.key)
        log.started(job)
    failed = crashed(jobs[0], store, "killed\nby somebody")
    log.ended(jobs[0], failed)
    log.finish({"pair": {jobs[0].key: failed}})
    parents, children = server.runs()
    assert [run.info.status for run in parents] == ["KILLED"]
    assert [(run.info.status, run.data.tags.get("reason")) for run in children] == [
        ("FAILED", "the process died: killed"),
        ("KILLED", None),
    ]
    assert all(math.isnan(parents[0].data.metrics[f"mask_AP/{arm}"]) for arm in "ab")
    assert "No result: a: seed 0: the process died: killed" in parents[0].data.tags["mlflow.note.content"]


def test_a_trial_that_a_search_stopped_early_has_not_failed(
    study: Study, jobs: list[Job], tmp_path: Path, fake_training: list
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    run_one_by_one(jobs[:1], store, Resources(), [], progress=False)
    curves = [{"epoch": 1, "epochs": 2, "seconds": 0.5, "loss/total": 1.0}]
    stopped = stopped_early(jobs[1], store, describe_job(jobs[1]), curves)
    records = {"pair": {jobs[0].key: store.finished(jobs[0].key), jobs[1].key: stopped}}
    ids = []
    for _ in range(2):
        log = Tracking([(study, jobs)], store, tmp_path)
        log.finish(records)
        ids.append(log.run_ids("pair"))
    assert ids[0] == ids[1]  # the second time nothing was lacking
    parents, children = server.runs()
    assert [run.info.status for run in parents + children] == ["FINISHED"] * 3
    assert [run.data.tags["status"] for run in children] == ["ok", "stopped_early"]
    assert children[1].data.tags["reason"] == "stopped early by the search after epoch 1 of 2"
    assert server.epochs(children[1]) == [(1, 1.0)]


def test_a_renamed_arm_is_shown_under_its_new_name_alone(
    study: Study, jobs: list[Job], tmp_path: Path, fake_training: list
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    run_one_by_one(jobs, store, Resources(), [], progress=False)
    records = {job.key: store.finished(job.key) for job in jobs}
    Tracking([(study, jobs)], store, tmp_path).finish({"pair": records})
    renamed = [replace(jobs[0], trial=replace(jobs[0].trial, arm="c")), jobs[1]]
    study = replace(study, arms=("c", "b"))
    Tracking([(study, renamed)], store, tmp_path).finish({"pair": records})
    parents, children = server.runs()
    assert [(run.info.run_name, run.data.params["arm"]) for run in children] == [("b-seed0", "b"), ("c-seed0", "c")]
    assert [run.data.metrics for run in parents] == [{"mask_AP/b": 20.0, "mask_AP/c": 0.0}]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}


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


def test_a_run_that_was_killed_between_its_first_calls_is_completed(
    study: Study, jobs: list[Job], tmp_path: Path
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    log = Tracking([(study, jobs)], store, tmp_path)
    sent(log)
    server.client.create_run(log._studies[0]._experiment_id, tags={"trial_key": jobs[0].key}, run_name="a-seed0")
    log.started(jobs[0])
    log.finish({})
    (run,) = server.runs()[1]
    assert run.data.params["arm"] == "a"
    assert len(run.inputs.dataset_inputs) == 1


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
