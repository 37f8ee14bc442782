"""Records sealed as text are those that `Record` seals, and no change of the text passes."""

from collections.abc import Callable

import pytest

from core.record import Record
from experiments.jobs import Job, list_jobs
from experiments.provenance import Provenance
from experiments.sealed_text import sealed_content, sealed_text
from experiments.study import Study


@pytest.fixture
def record(study: Study, made_from: Provenance, record_of: Callable[[Job], Record]) -> Record:
    return record_of(list_jobs(study, made_from)[0]).changed(metrics={"mask_AP": 1 / 3, "box_AP": float("nan")})


@pytest.mark.parametrize("kind", ["plain", "sealed", "unknown field"])
def test_the_text_is_that_of_the_sealed_record(record: Record, kind: str) -> None:
    if kind == "sealed":
        record = record.sealed()
    elif kind == "unknown field":
        record = Record.model_validate(record.content() | {"later": 1})
    assert sealed_text(record) == record.sealed().to_json()


def test_a_text_that_is_as_it_was_sealed_has_its_content(record: Record) -> None:
    assert sealed_content(sealed_text(record)) == record.sealed().content()


def test_no_changed_text_passes(record: Record) -> None:
    text = sealed_text(record)
    assert sealed_content(record.to_json()) is None
    for place in range(0, len(text), 37):
        assert sealed_content(text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]) is None
        assert sealed_content(text[:place]) is None
    for changed in (text + "\n", " " + text, text.replace("1", "2"), ""):
        assert sealed_content(changed) is None
