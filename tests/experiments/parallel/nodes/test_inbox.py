"""The driver's side of trials on nodes that share no store: what arrives is in the store, what it has is given."""

from pathlib import Path

import numpy as np
import pytest

from core.evaluation.kept_detections import DETECTIONS, write_detections
from core.files.atomic import write_text
from experiments.jobs import list_jobs
from experiments.parallel.nodes.inbox import Inbox
from experiments.parallel.nodes.parcel import pack
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import other_code


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def inbox(study: Study, store: Store, made_from: Provenance, tmp_path: Path) -> Inbox:
    return Inbox(list_jobs(study, made_from), store, tmp_path, {}, tmp_path / "stop")


@pytest.fixture
def node(tmp_path: Path) -> Store:
    """The store of a node that shares none."""
    return Store(tmp_path / "node")


def finish(node: Store, inbox: Inbox, record_of) -> str:
    """A job ends well on a node; returns its key."""
    job = next(iter(inbox.jobs.values()))
    record = record_of(job).changed(curves=[{"epoch": 1, "epochs": 1}], metrics={"mask_AP": 1.0})
    write_text(node.folder(job.key) / "found.json", "{}")
    write_detections([], [], node.folder(job.key) / DETECTIONS)
    write_text(node.folder(job.key) / "checkpoint.pt", "weights")
    node.write(record)
    return job.key


def test_a_finished_trial_arrives_equal_to_the_byte_and_an_earlier_failure_is_forgotten(
    inbox: Inbox, store: Store, node: Store, record_of
) -> None:
    store.write(other_code(next(iter(inbox.jobs.values())), "edited"))
    key = finish(node, inbox, record_of)
    inbox.take(key, pack(node.folder(key)))
    assert store.finished(key) == node.finished(key)
    assert store.failed(key) is None
    for name in ("record.json", "found.json", DETECTIONS, "checkpoint.pt"):
        assert (store.folder(key) / name).read_bytes() == (node.folder(key) / name).read_bytes()


def test_a_failed_trial_arrives_with_its_reason(inbox: Inbox, store: Store, node: Store) -> None:
    job = next(iter(inbox.jobs.values()))
    node.write(other_code(job, "edited"))
    inbox.take(job.key, pack(node.folder(job.key)))
    assert store.failed(job.key) == node.failed(job.key)


def test_what_the_store_has_is_given_out_but_for_an_old_failure(inbox: Inbox, store: Store) -> None:
    job = next(iter(inbox.jobs.values()))
    assert inbox.give(job.key) == {}
    store.write(other_code(job, "edited"))
    write_text(store.folder(job.key) / "checkpoint.pt", "half")
    assert {name: bytes(content) for name, content in inbox.give(job.key).items()} == {"checkpoint.pt": b"half"}


def test_a_store_that_cannot_be_written_raises_the_error_of_the_file(inbox: Inbox, store: Store) -> None:
    key = next(iter(inbox.jobs))
    store.root.mkdir(parents=True)
    store.folder(key).write_text("a file in its place")
    with pytest.raises(OSError, match=key):
        inbox.take(key, {"checkpoint.pt": np.zeros(3, np.uint8)})


def test_a_node_asks_whether_the_sweep_stops_and_whether_it_has_this_file_system(inbox: Inbox, tmp_path: Path) -> None:
    assert inbox.stopped_by() == 0
    (tmp_path / "stop").write_text("15")
    assert inbox.stopped_by() == 15
    assert inbox.sees(tmp_path / "stop")
    assert not inbox.sees(tmp_path / "nothing")
