"""Results as files: whole or not at all, and as COCO's evaluation server wants them."""

import json
import math
from pathlib import Path
from zipfile import ZipFile

import pytest

from core.evaluation.submission import write_metrics, write_results, write_submission

RESULTS = [
    {"image_id": 1, "category_id": 3, "score": 0.1 + 0.2, "bbox": [1.0, 2.5, 3.0, 4.0]},
    {"image_id": 2, "category_id": 1, "score": 0.5, "bbox": [0.0, 0.0, 1.0, 1.0]},
]


@pytest.mark.parametrize("results", [RESULTS, RESULTS[:1], []])
def test_file_holds_every_result_to_the_last_digit_one_a_line(tmp_path: Path, results: list[dict]) -> None:
    write_results(results, tmp_path / "bbox.json")
    text = (tmp_path / "bbox.json").read_text()
    assert json.loads(text) == results
    assert len(text.splitlines()) == len(results) + 2


def test_failed_write_leaves_the_file_before_it_and_nothing_else(tmp_path: Path) -> None:
    write_results(RESULTS, tmp_path / "bbox.json")
    with pytest.raises(TypeError):
        write_results([*RESULTS, {"score": object()}], tmp_path / "bbox.json")
    with pytest.raises(TypeError):
        write_submission([{"score": object()}], tmp_path, "test-dev2017", "ours")
    assert json.loads((tmp_path / "bbox.json").read_text()) == RESULTS
    assert [path.name for path in tmp_path.iterdir()] == ["bbox.json"]


def test_submission_is_a_zip_with_one_file_of_the_name_that_the_server_asks_for(tmp_path: Path) -> None:
    path = write_submission(RESULTS, tmp_path, "test-dev2017", "boxinst-r50")
    assert path == tmp_path / "detections_test-dev2017_boxinst-r50_results.zip"
    assert list(tmp_path.iterdir()) == [path]
    with ZipFile(path) as archive:
        assert archive.namelist() == ["detections_test-dev2017_boxinst-r50_results.json"]
        assert json.loads(archive.read(archive.namelist()[0])) == RESULTS


def test_metrics_of_nothing_to_find_are_null(tmp_path: Path) -> None:
    write_metrics({"mask_AP": math.nan, "box_AP": 1 / 3}, {"cat": math.nan}, tmp_path / "metrics.json")
    expected = {"metrics": {"mask_AP": None, "box_AP": 1 / 3}, "per_class": {"cat": None}}
    assert json.loads((tmp_path / "metrics.json").read_text()) == expected


@pytest.mark.parametrize("name", ["", "a_b", "../a", "a b"])
def test_name_that_the_server_could_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"expected letters, digits and hyphens"):
        write_submission(RESULTS, tmp_path, "test-dev2017", name)
    assert list(tmp_path.iterdir()) == []


def test_metrics_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_metrics({"mask_AP": math.inf}, {}, tmp_path / "metrics.json")
    assert list(tmp_path.iterdir()) == []
