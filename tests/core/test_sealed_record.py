"""No change of a sealed record goes unnoticed."""

import re
from pathlib import Path

import pytest

from core.record import Record, read_record
from tests.core.record_content import content


def test_a_sealed_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    sealed = Record(**content()).sealed()
    path = tmp_path / "k.json"
    path.write_text(sealed.to_json())
    assert read_record(path) == sealed == sealed.sealed()
    assert sealed.changed(seed=4).sha256 is None


def test_no_flipped_bit_of_a_sealed_record_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    record = Record(**content(config={}, metrics={"mask_AP": 1e-05}, files={"found.json": "0f"}))
    whole = record.sealed().to_json().encode()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: "):
            read_record(path)


@pytest.mark.parametrize(
    ("edited", "edit"),
    [
        ('"mask_AP": 12.345678,\n', '"mask_AP": 99.0,\n'),
        ('"arm": "narrow"', '"arm": "wide"'),
        ('"seed": 3', '"seed":  3'),  # the same content in other words
    ],
)
def test_an_edit_of_a_sealed_record_is_noticed(tmp_path: Path, edited: str, edit: str) -> None:
    text = Record(**content()).sealed().to_json()
    assert text.count(edited) == 1
    path = tmp_path / "k.json"
    path.write_text(text.replace(edited, edit))
    with pytest.raises(
        ValueError, match=r"k\.json: changed since it was written: its content does not have the sha256"
    ):
        read_record(path)
