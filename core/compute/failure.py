"""What went wrong, in one sentence for the person who started a command. Imports no torch."""

import errno
import re
import shutil
import traceback
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# Of torch's CPU allocator, C++, oneDNN and cuBLAS; CUDA's allocator has an exception of its own.
OUT_OF_MEMORY = ("can't allocate memory", "bad_alloc", "could not create a memory", "ALLOC_FAILED")
LOADER_DIED = re.compile(r"DataLoader worker \(pid(?:\(s\))? (?P<pid>[\d, ]+)\) (?P<end>.+)")  # torch's words


def describe(error: Exception) -> str | None:
    """One sentence with the cause and the way out; None if wrong input or the environment do not explain the error.

    Wrong input raises a ValueError that says what is wrong, in all of this project; divergence a FloatingPointError.
    """
    if is_out_of_memory(error):
        return describe_memory(error)
    if isinstance(error, OSError):
        return describe_system_error(error)
    if isinstance(error, RuntimeError) and (died := LOADER_DIED.search(str(error))):
        return describe_dead_loader(died["pid"], died["end"].split(". ")[0].rstrip(". "))
    if isinstance(error, ValueError | FloatingPointError):
        return str(error) or type(error).__name__
    return None


def describe_unexpected(error: Exception) -> str:
    """The type and first line of an exception, with the innermost place of this project that it came through."""
    text = str(error).strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(Path(frame.filename))] or frames
    place = f" ({_shown(Path(own[-1].filename))}:{own[-1].lineno})" if own else ""
    return f"unexpected {type(error).__name__}: {text[0] if text else 'without a message'}{place}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether main memory or the memory of a GPU ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter torch's
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in OUT_OF_MEMORY)


def asked_memory(error: BaseException) -> str:
    """The size of the allocation that failed, as in `3.50 GiB`; empty if the error does not say it."""
    asked = re.search(r"allocate (\d[\d.]*)\s?([KMGT]?i?B|bytes)", str(error))
    return f"{asked[1]} {asked[2]}" if asked else ""


def describe_memory(error: BaseException) -> str:
    where = " of the GPU" if "CUDA" in str(error) else ""
    asked = f", asking for {size}" if (size := asked_memory(error)) else ""
    return (
        f"out of memory{where}{asked}; end other processes that use it, or lower training.batch_size "
        "(inference.batch_size in an evaluation), the image size or the number of loader processes"
    )


def describe_system_error(error: OSError) -> str:
    """The file and what the system said about it; for a full disk also how much is free."""
    if error.strerror is None:
        return str(error) or type(error).__name__
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    said = f"{' -> '.join(names)}: {error.strerror}" if names else error.strerror
    if error.errno not in DISK_FULL:
        return said
    free = f" ({_free_megabytes(Path(names[0])):.1f} MB are free there now)" if names else ""
    return f"{said}{free}; free some space or choose another folder, then run the same command again"


def describe_dead_loader(pid: int | str, cause: str) -> str:
    """A process that loads images ended while it was needed; `cause` is a verb with the signal or exit status."""
    return (
        f"a process that loads images (pid {pid}) {cause}; most often the memory of the machine or the container ran "
        "out: lower --loader-processes (0 loads in the main process) or training.batch_size, then run the same command "
        "again"
    )


def _free_megabytes(path: Path) -> float:
    existing = next(folder for folder in [path.absolute(), *path.absolute().parents] if folder.exists())
    return shutil.disk_usage(existing).free / 1e6


def _is_own(path: Path) -> bool:
    return path.is_relative_to(PROJECT) and "site-packages" not in path.parts


def _shown(path: Path) -> str:
    return str(path.relative_to(PROJECT)) if _is_own(path) else str(path)
