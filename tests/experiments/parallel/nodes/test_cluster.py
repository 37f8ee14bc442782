"""A trial on a node that shares no store: it goes on from what the driver has, and the driver gets all it makes."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from core.files.atomic import write_text
from experiments.jobs import Job, list_jobs
from experiments.parallel import trainable
from experiments.parallel.described import KEY
from experiments.parallel.nodes import cluster as cluster_module
from experiments.parallel.nodes.cluster import Cluster, Sender, StopAsked
from experiments.parallel.nodes.data import needed_data
from experiments.parallel.nodes.inbox import Inbox
from experiments.parallel.trainable import MachineFault, TrialFailed, train_job
from experiments.params import Resources
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.sweep import run_job
from tests.experiments.conftest import study_of

TEXT = "question: q\nsource: s\nexpectation: none\narms: {good: {loss.dice: 2}, bad: {loss.dice: 3}}\n"


class Handle:
    """Of an actor that answers at once; counts the calls by method."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.calls: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls[name] = self.calls.get(name, 0) + 1
            return getattr(self.inbox, name)(*arguments, **named)

        return SimpleNamespace(remote=call)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What the trial tells Tune; Ray is replaced by calls."""
    told: list[dict] = []
    at_once = {"get": lambda answer: answer, "wait": lambda answers, timeout: (answers, [])}
    here = SimpleNamespace(get_node_id=lambda: "this node")
    stand_in = SimpleNamespace(**at_once, get_runtime_context=lambda: here, exceptions=ray.exceptions)
    monkeypatch.setattr(cluster_module, "ray", stand_in)
    monkeypatch.setattr(trainable.tune, "report", told.append)
    monkeypatch.setenv("TUNE_FUNCTION_THREAD_TIMEOUT_S", "60")  # which a trial sets, for good
    return told


@pytest.fixture
def jobs(shapes: Path, tmp_path: Path, made_from: Provenance, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """An arm that ends well and one that fails, with data below the folder of the command."""
    folder = tmp_path / "driver"
    shutil.copytree(shapes, folder / "datasets" / "mine")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return list_jobs(study_of(TEXT, "two", Path("datasets/mine"), folder), made_from)


@pytest.fixture
def cluster(jobs: list[Job], tmp_path: Path, reported: list[dict]) -> Cluster:
    folder, store = tmp_path / "driver", Store(tmp_path / "driver" / "store")
    data = needed_data(jobs, folder)
    inbox = Handle(Inbox(jobs, store, folder, data, folder / "stop"))
    return Cluster(inbox, folder, store, "a-token", data, None)


def run(job: Job, cluster: Cluster) -> None:
    given = {"store": cluster.store, "resources": Resources(), "folder": cluster.folder, "flag": Path("no flag here")}
    train_job({KEY: job.key}, [job], **given, cluster=cluster)


def test_a_trial_arrives_as_one_that_ran_in_the_driver_s_store(
    jobs: list[Job], cluster: Cluster, tmp_path: Path, fake_training: list[str], reported: list[dict]
) -> None:
    local = Store(tmp_path / "local")
    expected = run_job(jobs[0], local, Resources(), lambda numbers: None)
    run(jobs[0], cluster)
    found = cluster.store.finished(jobs[0].key)
    assert found.changed(seconds=0) == local.finished(jobs[0].key).changed(seconds=0)
    assert (found.metrics, found.curves) == (expected.metrics, expected.curves)
    assert [numbers["epoch"] for numbers in reported] == [1, 2]
    there, here = cluster.store.folder(jobs[0].key), local.folder(jobs[0].key)
    names = {path.relative_to(here) for path in here.rglob("*") if path.is_file()}
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == names
    assert Path("checkpoint.pt") in names


def test_a_trial_that_fails_arrives_with_its_reason(jobs: list[Job], cluster: Cluster, fake_training) -> None:
    with pytest.raises(TrialFailed, match="loss dice is not finite"):
        run(jobs[1], cluster)
    assert "loss dice is not finite" in cluster.store.failed(jobs[1].key).reason


def test_a_node_that_joined_late_and_cannot_run_trials_is_refused_before_one_fails_there(
    jobs: list[Job], cluster: Cluster, fake_training: list[str]
) -> None:
    of_other_code = replace(jobs[0], provenance=replace(jobs[0].provenance, code="other"))
    with pytest.raises(MachineFault, match=r"node \S+: it joined after the sweep had begun .* its packages differ"):
        run(of_other_code, cluster)
    assert fake_training == []
    assert cluster.store.failed(jobs[0].key) is None
    there = {("this node", jobs[0].data_digest): cluster.folder}
    with pytest.raises(TrialFailed, match="differ from those at the start of the sweep"):  # it was as it should be then
        run(of_other_code, replace(cluster, found=there))
    run(jobs[0], cluster)  # a good one that joined late
    assert cluster.store.finished(jobs[0].key) is not None


def test_a_node_with_the_store_writes_there_and_sends_nothing(jobs: list[Job], cluster: Cluster, fake_training) -> None:
    write_text(cluster.token_file, "another")
    assert not cluster.shares_store()
    write_text(cluster.token_file, cluster.token)
    run(jobs[0], cluster)
    assert cluster.store.finished(jobs[0].key)
    assert cluster.inbox.calls.keys() == {"stopped_by"}
    assert [path.name for path in cluster.token_file.parent.glob("a-token*")] == ["a-token"]


def test_a_trial_of_a_sweep_that_stops_does_not_start(jobs: list[Job], cluster: Cluster, fake_training) -> None:
    (cluster.folder / "stop").write_text("15")
    run(jobs[0], cluster)
    assert fake_training == []
    assert StopAsked(cluster)() == 15


def test_a_trial_asks_seldom_whether_the_sweep_stops(cluster: Cluster, monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr(cluster_module.time, "monotonic", lambda: now)
    stop = StopAsked(cluster)
    assert [stop() for _ in range(100)] == [0] * 100
    (cluster.folder / "stop").write_text("2")
    assert stop() == 0
    now = 1.0
    assert [stop(), stop()] == [2, 2]
    assert cluster.inbox.calls["stopped_by"] == 2


def test_a_trial_goes_on_from_what_the_driver_has(jobs: list[Job], cluster: Cluster, tmp_path: Path) -> None:
    key, node = jobs[0].key, Store(tmp_path / "node")
    Sender(cluster, key, node).send()  # nothing yet
    write_text(cluster.store.folder(key) / "checkpoint.pt", "half")
    Sender(cluster, key, node).receive()
    assert (node.folder(key) / "checkpoint.pt").read_text() == "half"


def test_checkpoints_are_sent_at_once_and_then_at_times(
    jobs: list[Job], cluster: Cluster, tmp_path: Path, monkeypatch
) -> None:
    now = 100.0
    monkeypatch.setattr(cluster_module.time, "monotonic", lambda: now)
    key, node = jobs[0].key, Store(tmp_path / "node")
    sender = Sender(cluster, key, node)
    arrived = cluster.store.folder(key) / "checkpoint.pt"
    seen = []
    for now, content in ((100.0, "first"), (120.0, "second"), (131.0, "third")):  # noqa: B007
        write_text(node.folder(key) / "checkpoint.pt", content)
        sender.send_at_times()
        seen.append(arrived.read_text())
    assert seen == ["first", "first", "third"]


def test_the_data_is_fetched_from_the_driver_where_the_node_has_none(
    jobs: list[Job], cluster: Cluster, tmp_path: Path
) -> None:
    away = Cluster(cluster.inbox, tmp_path / "nowhere", cluster.store, "a-token", cluster.data, None)
    found = away.data_folder(jobs[0].data_digest)
    assert found == tmp_path / "cache" / "boxinst" / "data" / jobs[0].data_digest
    for path in (cluster.folder / "datasets").rglob("*.json"):
        assert (found / path.relative_to(cluster.folder)).read_bytes() == path.read_bytes()
    known = Cluster(*(cluster.inbox, tmp_path, cluster.store, "t", {}, None), found={("this node", "d"): tmp_path})
    assert known.data_folder("d") == tmp_path


def test_the_data_comes_from_a_uri_where_there_is_one(jobs: list[Job], cluster: Cluster, tmp_path: Path) -> None:
    uri = f"file://{cluster.folder}/datasets"
    away = Cluster(cluster.inbox, tmp_path / "nowhere", cluster.store, "a-token", cluster.data, uri)
    assert away.data_folder(jobs[0].data_digest).is_relative_to(tmp_path / "cache")
    assert "read_files" not in cluster.inbox.calls
