"""Files that end in a digest of all their bytes, so that damage is noticed when they are read.

The digest is SHA-256, on a last line of its own. Torch's files may have such an end: torch reads them as before.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.files.atomic import replaced

SEAL = re.compile(rb"\nsha256 ([0-9a-f]{64})\n")
SEAL_LENGTH = len("\nsha256 ") + 64 + len("\n")
CHUNK = 2**20  # bytes


class DamagedError(ValueError):
    """The content of a file has changed since it was sealed."""


class SealingFile:
    """A binary file that is written from the beginning to the end, and digested on the way; enough for `torch.save`."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def seal(self) -> None:
        """Write the digest of everything that was written; nothing may follow."""
        self.file.write(b"\nsha256 " + self.digest.hexdigest().encode() + b"\n")


@contextmanager
def sealed(path: Path) -> Iterator[SealingFile]:
    """Yield a file to write to; on exit it gets its seal and atomically replaces `path`."""
    with replaced(path) as partial, partial.open("wb") as file:
        sealing = SealingFile(file)
        yield sealing
        sealing.seal()


def is_sealed(path: Path) -> bool:
    """Whether a file ends in a seal; `check_seal` says whether its content fits it."""
    with path.open("rb") as file:
        return _seal_of(file) is not None


def check_seal(file: BinaryIO, path: str | Path) -> None:
    """Check that the content of an open file fits its seal, if it has one. Leaves the position at the beginning.

    Raises:
        DamagedError: if the content has changed since the file was sealed.
    """
    expected = _seal_of(file)
    if expected is not None:
        rest = file.seek(-SEAL_LENGTH, os.SEEK_END)
        file.seek(0)
        digest = hashlib.sha256()
        while rest and (chunk := file.read(min(CHUNK, rest))):
            digest.update(chunk)
            rest -= len(chunk)
        if digest.hexdigest() != expected:
            raise DamagedError(
                f"{path}: damaged since it was written: its content has the SHA-256 {digest.hexdigest()[:16]}..., "
                f"expected {expected[:16]}..."
            )
    file.seek(0)


def _seal_of(file: BinaryIO) -> str | None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - SEAL_LENGTH, 0))
    found = SEAL.fullmatch(file.read())
    return found and found[1].decode()
