"""The file by which an interrupted run goes on: what is read back, and what is not taken for its own."""

from pathlib import Path

import pytest

from core.annotate.progress_file import PROGRESS, ProgressFile, stamp

TASK = {"min_score": 0.5}


def started(folder: Path, **task: float) -> ProgressFile:
    file = ProgressFile(folder, TASK | task)
    file.start()
    return file


def test_results_are_read_back_until_the_run_has_finished(tmp_path: Path) -> None:
    file = started(tmp_path)
    file.add("a.jpg", [3, 5], [{"id": 1}])
    file.add("b.jpg", [3, 5], [])
    again = started(tmp_path)
    assert again.found("a.jpg", [3, 5]) == [{"id": 1}]
    assert again.found("b.jpg", [3, 5]) == []
    assert again.found("c.jpg", [3, 5]) is None
    assert again.found("a.jpg", [4, 5]) is None
    again.finish()
    assert ProgressFile(tmp_path, TASK).found("a.jpg", [3, 5]) is None


def test_results_of_another_task_are_dropped_and_the_difference_is_said(tmp_path: Path) -> None:
    started(tmp_path).add("a.jpg", [3, 5], [])
    other = started(tmp_path, min_score=0.7)
    assert other.found("a.jpg", [3, 5]) is None
    assert other.changed == ["min_score is 0.5 instead of 0.7"]
    assert started(tmp_path).found("a.jpg", [3, 5]) is None


def test_what_runs_have_written_is_known_for_good(tmp_path: Path) -> None:
    result = tmp_path / "annotations.json"
    for content in (b"first", b"second"):
        file = started(tmp_path)
        file.about_to_write(content)
        file.finish()
    for content in (b"first", b"second"):
        result.write_bytes(content)
        assert ProgressFile(tmp_path, TASK).wrote(result)
    result.write_bytes(b"third")
    assert not ProgressFile(tmp_path, TASK).wrote(result)


def test_a_line_that_was_cut_is_dropped_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    started(tmp_path).add("a.jpg", [3, 5], [])
    with (tmp_path / PROGRESS).open("a") as file:
        file.write('\n{"photo": "b.j')
    started(tmp_path).add("c.jpg", [3, 5], [])
    assert ProgressFile(tmp_path, TASK).results.keys() == {"a.jpg", "c.jpg"}


@pytest.mark.parametrize("line", ["{", "3", '{"photo": "a.jpg"}', "{}", '{"written": [1]}', '{"task": 3}', "\xff"])
def test_a_damaged_line_is_lost_alone(tmp_path: Path, line: str) -> None:
    started(tmp_path).add("a.jpg", [3, 5], [])
    file = ProgressFile(tmp_path, TASK)
    (tmp_path / PROGRESS).write_bytes((tmp_path / PROGRESS).read_bytes() + f"\n{line}".encode("latin-1"))
    file.add("b.jpg", [3, 5], [])
    assert ProgressFile(tmp_path, TASK).results.keys() == {"a.jpg", "b.jpg"}


def test_a_file_is_told_by_size_and_time_and_a_missing_one_has_neither(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    assert stamp(file) == stamp(Path("a\0b")) == []
    file.write_bytes(b"photo")
    assert stamp(file) == [5, file.stat().st_mtime_ns]
