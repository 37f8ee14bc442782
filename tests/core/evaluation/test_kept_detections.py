"""Kept detections: what is read equals what was written, equal detections give equal bytes, damage is named."""

import contextlib
import gzip
import io
import json
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from core.evaluation.kept_detections import read_detections, write_detections
from tests.core.evaluation.test_same_as_pycocotools import scene


def test_detections_are_read_as_they_were_written_to_the_last_digit(tmp_path: Path) -> None:
    _, boxes, masks = scene(0)
    boxes[0] |= {"score": 0.1 + 0.2, "bbox": [1 / 3, 2**-30, 1e-17, 7.0]}
    masks[0] |= {"score": 0.1 + 0.2}
    write_detections(boxes, masks, tmp_path / "new" / "detections.json.gz")
    assert read_detections(tmp_path / "new" / "detections.json.gz") == (boxes, masks)
    write_detections([], [], tmp_path / "none.json.gz")
    assert read_detections(tmp_path / "none.json.gz") == ([], [])


def test_equal_detections_give_equal_bytes_whenever_and_wherever(tmp_path: Path) -> None:
    _, boxes, masks = scene(0)
    for name in ("one.json.gz", "other.json.gz"):
        write_detections(boxes, masks, tmp_path / name)
    content = (tmp_path / "one.json.gz").read_bytes()
    assert content == (tmp_path / "other.json.gz").read_bytes()
    assert content[3:8] == bytes(5)  # no name of a file, no time: RFC 1952, flags and MTIME


def test_pycocotools_reads_the_list(tmp_path: Path) -> None:
    content, boxes, masks = scene(0)
    write_detections(boxes, masks, tmp_path / "kept.json.gz")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        found = truth.loadRes(json.loads(gzip.decompress((tmp_path / "kept.json.gz").read_bytes())))
    assert len(found.anns) == len(boxes)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no archive", "cannot be read"),
        (gzip.compress(b"[]")[:-6], "cannot be read"),
        (gzip.compress(b"[1,"), "not valid JSON"),
        (gzip.compress(b'{"a": 1}'), "expected a list"),
        (gzip.compress(b'[{"image_id": 1}]'), "detection 0 is"),
        (gzip.compress(b"[3]"), "detection 0 is"),
    ],
    ids=["no archive", "cut", "cut text", "object", "no box", "number"],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "kept.json.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"kept.json.gz: .*{reason}"):
        read_detections(path)
    with pytest.raises(ValueError, match=r"lost.json.gz: cannot be read .*No such file"):
        read_detections(tmp_path / "lost.json.gz")
