"""The least of what the machine has left and what the control groups allow."""

from pathlib import Path

import pytest

from core.compute import memory
from core.compute.memory import available_memory

MEMINFO = "MemTotal:       24000000 kB\nMemFree: 100 kB\nMemAvailable:    2000 kB\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 2,000 KiB available, in whose folder control groups can be written."""
    for name in ("MEMINFO", "OWN_GROUPS", "GROUPS"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    (tmp_path / "MEMINFO").write_text(MEMINFO)
    return tmp_path


def write(group: Path, **files: str) -> None:
    group.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (group / name.replace("__", ".")).write_text(content)


def test_without_control_groups_it_is_what_the_kernel_says(system: Path) -> None:
    assert available_memory() == 2000 * 1024
    (system / "OWN_GROUPS").write_text("0::/job\n")  # not mounted here
    assert available_memory() == 2000 * 1024


def test_a_limit_of_a_group_above_counts_and_its_cached_files_are_free(system: Path) -> None:
    (system / "OWN_GROUPS").write_text("1:name=systemd:/\n0::/job/step\n")
    used = {"memory__current": "700000\n", "memory__stat": "anon 5\ninactive_file 30000\n"}
    write(system / "GROUPS" / "job" / "step", memory__max="max\n", **used)
    assert available_memory() == 2000 * 1024
    write(system / "GROUPS" / "job", memory__max="1000000\n", **used)
    assert available_memory() == 1_000_000 - 700_000 + 30_000
    write(system / "GROUPS" / "job" / "step", memory__max="800000\n", **used)
    assert available_memory() == 130_000


def test_groups_of_the_first_version_count_too(system: Path) -> None:
    (system / "OWN_GROUPS").write_text("9:cpu:/\n4:memory:/docker/a\n0::/\n")
    top = system / "GROUPS" / "memory"  # in a container the path of its group is not mounted, its top is
    statistics = "inactive_file 1\ntotal_inactive_file 10\n"
    write(top, memory__limit_in_bytes="5000\n", memory__usage_in_bytes="1000\n", memory__stat=statistics)
    assert available_memory() == 4010


def test_nothing_is_left_above_a_limit(system: Path) -> None:
    (system / "OWN_GROUPS").write_text("0::/\n")
    write(system / "GROUPS", memory__max="10", memory__current="20", memory__stat="inactive_file 0")
    assert available_memory() == 0


@pytest.mark.parametrize("content", [None, "", "MemTotal: 5 kB\n", "MemAvailable: much\n"])
def test_a_system_that_does_not_say_it(system: Path, content: str | None) -> None:
    (system / "MEMINFO").unlink()
    if content is not None:
        (system / "MEMINFO").write_text(content)
    assert available_memory() is None
