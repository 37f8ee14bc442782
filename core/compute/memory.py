"""The main memory that this process may still take: what the machine has left, and what its container or job allows."""

from collections.abc import Iterator
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
OWN_GROUPS = Path("/proc/self/cgroup")  # lines such as `0::/a/b` (version 2) and `4:memory:/a/b` (version 1)
GROUPS = Path("/sys/fs/cgroup")
FILES_OF = {  # version of control groups: limit, use, and the part of it that is file cache
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def available_memory() -> int | None:
    """Bytes that can be taken without swapping or reaching a limit; None where the system does not say (not Linux).

    The least of what the kernel calls available and of what each control group (container, batch job) has left below
    its limit. Cached files count as free, since the kernel drops them.
    """
    try:
        fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None
    return max(min([free, *(_left(folder, version) for folder, version in _own_groups())]), 0)


def _own_groups() -> Iterator[tuple[Path, int]]:
    """The control group of this process and those that contain it, with their version, as far as they are seen here."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        version = 2 if (number, controllers) == ("0", "") else 1
        if version == 2 or "memory" in controllers.split(","):
            top = GROUPS if version == 2 else GROUPS / "memory"
            folder = top / path.strip("/")
            yield folder, version
            yield from ((parent, version) for parent in folder.parents if parent.is_relative_to(top))


def _left(group: Path, version: int) -> int | float:
    """Bytes below the limit of a control group; infinite without one."""
    limit_file, use_file, cached = FILES_OF[version]
    try:
        limit, used = (int((group / name).read_text()) for name in (limit_file, use_file))
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return limit - used + int(statistics[cached])
    except (OSError, KeyError, ValueError):  # no such file, or the limit is "max"
        return float("inf")
