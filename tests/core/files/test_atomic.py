"""A file is replaced as a whole or stays as it was."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.files.atomic import replaced, write_text


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replaced(path) as partial:
        partial.write_text("new")
        assert not path.exists()
        assert partial.parent == tmp_path  # a rename is atomic within a file system
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_file_before_it_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail() -> None:
        with replaced(path) as partial:
            partial.write_text("ne")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from core.files.atomic import replaced
with replaced(Path(sys.argv[1])) as partial:
    partial.write_text("unfinished")
    print("written", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout.readline() == b"written\n"
        write_text(path, "new")
        (partial,) = set(tmp_path.iterdir()) - {path}
        assert partial.read_text() == "unfinished"
        process.kill()
        process.wait()
        write_text(path, "newer")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "newer"


def test_of_another_machine_or_without_a_writer_only_what_is_a_day_old_is_removed(tmp_path: Path) -> None:
    names = ".a.json.0123abcd-1-99-beef.partial", ".a.json.partial"
    for name in (*names, ".b.json.partial"):
        (tmp_path / name).write_text("unfinished")
    write_text(tmp_path / "a.json", "new")
    assert len(list(tmp_path.iterdir())) == 4
    for name in (*names, ".b.json.partial"):
        os.utime(tmp_path / name, (0, 0))
    write_text(tmp_path / "a.json", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", ".b.json.partial"}


def test_a_number_that_a_new_process_has_got_does_not_keep_the_file_of_the_old_one(tmp_path: Path) -> None:
    with replaced(tmp_path / "a.json") as partial:
        partial.write_text("new")
        machine, number, start, rest = partial.name.split("-")
    (tmp_path / "-".join([machine, number, str(int(start) - 1), rest])).write_text("unfinished")
    write_text(tmp_path / "a.json", "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_hundred_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    everyone = threading.Barrier(100)

    def write(number: int) -> None:
        with replaced(path) as partial:
            partial.write_text(f"{number}")
            everyone.wait()  # all have written, none has renamed

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(write, range(100)))
    assert path.read_text() in {f"{number}" for number in range(100)}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    def write() -> None:
        with replaced(tmp_path / "a.json"), open("/dev/full", "w") as full:
            full.write("text")

    with pytest.raises(OSError, match="No space left on device") as refused:
        write()
    assert refused.value.filename == str(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_are_on_the_disk_before_the_name_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, original=original: (done.append(name), original(*a)))
    with replaced(tmp_path / "a.json") as partial:
        partial.write_text("new")
    assert done == ["fsync", "replace"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replaced(tmp_path / "a.json"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_text_is_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "tables" / "x.md"
    write_text(path, "τ")
    write_text(path, "θ")
    assert path.read_bytes() == "θ".encode()
    assert list(path.parent.iterdir()) == [path]
