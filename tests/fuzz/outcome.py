"""What reading one mutated file led to, and whether that is a finding."""

import traceback
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_MESSAGE = 5_000  # characters; more is no sentence

ACCEPTED = "accepted"
REFUSED = "refused"
FINE = (ACCEPTED, REFUSED)
RAW = "raw exception"
NAMELESS = "error without the file"
ENDLESS = "endless message"
LATER = "accepted, a later stage fails"
CHANGED = "accepted with other content"
HANG = "hang"
MEMORY = "memory"
CRASH = "crash"
FINDINGS = (CRASH, HANG, MEMORY, RAW, NAMELESS, ENDLESS, LATER, CHANGED)


class ContentChanged(AssertionError):
    """A damaged file was accepted although its content differs from what was written."""


@dataclass(frozen=True)
class Outcome:
    number: int
    what: str  # ACCEPTED, REFUSED, or one of FINDINGS
    detail: str = ""  # the exception, in one line
    place: str = ""  # the innermost line of the project on the way to it
    seconds: float = 0.0  # of processor time
    memory_mb: float = 0.0  # the most that the worker has held so far

    @property
    def is_finding(self) -> bool:
        return self.what not in FINE


def refusal(error: Exception, name: str) -> str:
    """What it is to raise this error on reading a file of this name."""
    if is_out_of_memory(error):
        return MEMORY
    if not isinstance(error, ValueError):
        return RAW
    message = str(error)
    if name not in message:
        return NAMELESS
    return ENDLESS if len(message) > LONGEST_MESSAGE else REFUSED


def failure(error: Exception) -> str:
    """What it is to raise this error after the file was accepted."""
    if is_out_of_memory(error):
        return MEMORY
    return CHANGED if isinstance(error, ContentChanged) else LATER


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def innermost(error: BaseException) -> str:
    """The innermost line of the project's code in an error's traceback, such as `core/record.py:12 read_record`."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "tests"):
            return f"{path.relative_to(ROOT)}:{frame.lineno} {frame.name}"
    return ""
