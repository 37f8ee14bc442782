"""What the driver's machine does for nodes that share no folder with it: it takes trials, and gives them out again.

One actor, on the node that the driver is connected to. It writes to the driver's store, so that nothing has to be set
up: neither a shared folder nor a bucket.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.jobs import Job
from experiments.parallel.nodes.data import NeededData, sent_files
from experiments.parallel.nodes.parcel import Parcel, pack, unpack
from experiments.parallel.stop import read_flag
from experiments.store import FOUND, Store
from experiments.sweep import lend_teacher

FAILED, FINISHED = "failed.json", "record.json"
LAST = (FOUND, FAILED, FINISHED)  # a record is written when all that it names is there


class Inbox:
    """An actor of Ray. `folder` is the one of the command, below which the data lies; `flag` stops the sweep."""

    def __init__(
        self, jobs: Sequence[Job], store: Store, folder: Path, data: dict[str, NeededData], flag: Path
    ) -> None:
        self.jobs = {job.key: job for job in jobs}
        self.store, self.folder, self.data, self.flag = store, folder, data, flag

    def sees(self, token: Path) -> bool:
        """Whether this node has the file system of the driver."""
        return token.exists()

    def stopped_by(self) -> int:
        """The number of the signal that stops the sweep; 0 as long as there is none."""
        return read_flag(self.flag)

    def give(self, key: str) -> Parcel:
        """All that the store has of a trial, from which it goes on; also a teacher that was trained for another."""
        lend_teacher(self.jobs[key], self.store)
        folder = self.store.folder(key)
        return {name: content for name, content in pack(folder).items() if name != FAILED} if folder.exists() else {}

    def take(self, key: str, parcel: Parcel) -> None:
        """Keep the folder of a trial as it is now in the store.

        Raises:
            OSError: if a file cannot be written.
        """
        with self.store.lock(key):
            unpack(parcel, self.store.folder(key), LAST)
            if FINISHED in parcel:
                self.store.forget_failure(key)

    def list_files(self, digest: str, with_data: bool) -> list[tuple[str, int]]:
        return sent_files(self.data[digest], self.folder, with_data=with_data)

    def read_files(self, names: Sequence[str]) -> Parcel:
        return pack(self.folder, names)
