"""Room on the disk, asked for before something large is written."""

import errno
import shutil
from pathlib import Path

GIB = 2**30


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin what will not fit on the disk of `folder`, which exists; `needed` in bytes.

    Raises:
        OSError: names the folder, what is needed and what is free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"{folder}: not enough room, {needed / GIB:.2f} GiB needed, {free / GIB:.2f} GiB free"
        raise OSError(errno.ENOSPC, message)
