"""What each node of a cluster is told of the driver, and what a node makes of it: where it finds data and store."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from experiments.parallel.nodes.data import NeededData, batches, fetch_uri, folder_with_data
from experiments.parallel.nodes.inbox import LAST
from experiments.parallel.nodes.parcel import pack, unpack
from experiments.store import Store

ASK_SECONDS = 1.0  # between two questions whether the sweep stops
SEND_SECONDS = 30.0  # between two checkpoints of a trial that are sent


@dataclass(frozen=True)
class Cluster:
    inbox: Any  # the handle of the `Inbox`
    folder: Path  # of the command, on the driver's machine
    store: Store
    token: str  # name and content of a file that the driver wrote to the store
    data: dict[str, NeededData]  # by digest
    data_uri: str | None
    found: dict[tuple[str, str], Path] = field(default_factory=dict)  # folder with the data, by node and digest

    @property
    def token_file(self) -> Path:
        return self.store.root / "locks" / self.token

    def knows_this_node(self) -> bool:
        """Whether this node was there when the sweep looked at the nodes."""
        return node_id() in {node for node, _ in self.found}

    def shares_store(self) -> bool:
        """Whether this node has the driver's store.

        Raises:
            OSError: if it has, and cannot write there.
        """
        try:
            if self.token_file.read_text() != self.token:
                return False
        except OSError:
            return False
        written = self.token_file.with_name(f"{self.token}-{node_id()}")
        written.write_text(self.token)
        written.unlink(missing_ok=True)
        return True

    def data_folder(self, digest: str) -> Path:
        """The folder from which a trial on this node finds its data, which is fetched if need be.

        Raises:
            OSError, ValueError: if it cannot be fetched.
        """
        known = self.found.get((node_id(), digest))
        if known is not None:
            return known
        needed = self.data[digest]

        def fetch(target: Path) -> None:
            if self.data_uri:
                fetch_uri(self.data_uri, needed, target)
            files = ray.get(self.inbox.list_files.remote(digest, with_data=not self.data_uri))
            for names in batches(files):
                unpack(ray.get(self.inbox.read_files.remote(names)), target)

        return folder_with_data(needed, self.folder, fetch)


def node_id() -> str:
    return ray.get_runtime_context().get_node_id()


class Sender:
    """Keeps the driver's store up to date with the folder of a trial in a store of this node."""

    def __init__(self, cluster: Cluster, key: str, store: Store) -> None:
        self.inbox, self.key, self.folder = cluster.inbox, key, store.folder(key)
        self.due = 0.0  # on the monotonic clock: the first epoch's checkpoint is sent at once

    def receive(self) -> None:
        """Take over what the driver has: that of an earlier sweep, or of a node that is gone."""
        unpack(ray.get(self.inbox.give.remote(self.key)), self.folder, LAST)

    def send(self) -> None:
        """Send all files of the trial.

        Raises:
            OSError: if the driver's machine cannot write them.
        """
        if not self.folder.exists():  # it was stopped before it wrote anything
            return
        try:
            ray.get(self.inbox.take.remote(self.key, pack(self.folder)))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error  # as on one machine, where a full disk ends the sweep

    def send_at_times(self) -> None:
        if time.monotonic() >= self.due:
            self.send()
            self.due = time.monotonic() + SEND_SECONDS


class StopAsked:
    """Called at each step of a trial, it returns the number of the signal that stops the sweep; 0 without one.

    It asks the driver's machine once a second, and waits for the first answer alone.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.inbox = cluster.inbox
        self.asked: Any = None  # the answer that is on its way
        self.last = ray.get(self.inbox.stopped_by.remote())
        self.due = time.monotonic() + ASK_SECONDS

    def __call__(self) -> int:
        if self.asked is None and time.monotonic() >= self.due:
            self.asked, self.due = self.inbox.stopped_by.remote(), time.monotonic() + ASK_SECONDS
        if self.asked is not None and ray.wait([self.asked], timeout=0)[0]:
            self.last, self.asked = ray.get(self.asked), None
        return self.last
