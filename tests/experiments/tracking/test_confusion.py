"""2x2 tables of found instances, by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.files.atomic import write_text
from core.record import Record
from experiments.jobs import Job
from experiments.store import Store
from experiments.study import Study
from experiments.tracking.confusion import confusion, count_found

WEAK = {0: 0.9, 1: 0.4, 2: None, 3: None}
FULL = {0: 0.8, 1: 0.9, 2: 0.6, 3: None}


@pytest.fixture
def store(jobs: list[Job], tmp_path: Path) -> Store:
    """What the arms `a` and `b` (the reference) find."""
    store = Store(tmp_path / "store")
    for job, found in zip(jobs, (WEAK, FULL), strict=True):
        write_text(store.folder(job.key) / "found.json", json.dumps(found))
    return store


@pytest.fixture
def records(jobs: list[Job], record_of: Callable[[Job], Record]) -> dict[str, Record]:
    return {job.key: record_of(job) for job in jobs}


def test_each_instance_stands_in_one_cell() -> None:
    def counts(min_score: float) -> list[int]:
        return list(count_found(WEAK, FULL, min_score).values())

    assert counts(0.0) == [2, 0, 1, 1]  # both: 0 and 1, the reference alone: 2, neither: 3
    assert counts(0.5) == [1, 0, 2, 1]  # the weak arm is not sure of 1
    assert counts(0.85) == [0, 1, 1, 2]
    assert list(count_found({}, {}, 0.0).values()) == [0, 0, 0, 0]


def test_every_arm_is_compared_with_the_reference_at_both_scores(
    study: Study, jobs: list[Job], records: dict[str, Record], store: Store
) -> None:
    low, high = confusion(study, jobs, records, store)
    assert low == {
        "arm": "a",
        "reference": "b",
        "seed": 0,
        "min_score": 0.0,
        "instances": 4,
        "found_by_both": 2,
        "found_by_arm_only": 0,
        "found_by_reference_only": 1,
        "found_by_neither": 1,
    }
    assert (high["min_score"], high["found_by_both"]) == (0.5, 1)


def test_there_is_nothing_to_compare_without_the_reference_or_on_other_annotations(
    study: Study, jobs: list[Job], records: dict[str, Record], store: Store
) -> None:
    failed = records | {jobs[1].key: records[jobs[1].key].changed(status="failed")}
    assert confusion(study, jobs, failed, store) == []
    assert confusion(replace(study, reference_arm=None), jobs, records, store) == []
    assert confusion(study, jobs, {}, store) == []
    write_text(store.folder(jobs[1].key) / "found.json", json.dumps({0: 0.5}))
    assert confusion(study, jobs, records, store) == []
