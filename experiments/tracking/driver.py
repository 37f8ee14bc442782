"""Which process drives a sweep, and whether it is still alive: runs that a killed driver left open must be ended.

A driver holds a lock on a file in the project's folder, and the operating system releases it however the process ends.
Host name, process id and start time would not do: containers may share the first two, and their clocks differ.
"""

import fcntl
import os
import re
import secrets
import socket
from contextlib import suppress
from pathlib import Path


class Driver:
    """This process, as the driver of one sweep; `name` is a token, with host and process id for people to read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        token = secrets.token_hex(8)
        self.name = f"{token} on {socket.gethostname()}, process {os.getpid()}"
        self._path = folder / token
        partial = folder / f".{token}"
        self._file = partial.open("w")
        with suppress(OSError):  # a file system without locks: `has_died` says no of a file that is there
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.replace(partial, self._path)  # only now: nobody sees it unlocked

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def has_died(driver: str, folder: Path) -> bool:
    """Whether the driver of this name, of the project whose drivers are in `folder`, has ended.

    False where the file system cannot tell.
    """
    token = driver.partition(" ")[0]
    if re.fullmatch("[0-9a-f]{16}", token) is None:
        return True  # an earlier version named drivers otherwise
    try:
        with (folder / token).open("r+") as file:  # NFS locks exclusively only what is open for writing
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / token).unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
