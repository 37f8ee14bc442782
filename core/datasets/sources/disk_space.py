"""Check for free disk space before writing large files."""

import errno
import shutil
from pathlib import Path

GIB = 2**30


def require_space(folder: Path, needed: int) -> None:
    """Check that the disk of `folder`, which must exist, has `needed` bytes free.

    Raises:
        OSError: if it has not; names the folder, the space needed and the space free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"{folder}: not enough disk space: {needed / GIB:.2f} GiB needed, {free / GIB:.2f} GiB free"
        raise OSError(errno.ENOSPC, message)
