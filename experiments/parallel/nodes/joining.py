"""How a sweep joins a cluster: what its nodes need is made ready, and each is looked at before a trial runs there."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import ray

from core.files.atomic import write_text
from experiments.jobs import Job
from experiments.parallel.nodes.cluster import Cluster
from experiments.parallel.nodes.data import DATA_URI, needed_data
from experiments.parallel.nodes.inbox import Inbox
from experiments.parallel.nodes.probe import LOOK_SECONDS, last_line, look_around, on_node
from experiments.params import Resources
from experiments.progress import Progress
from experiments.store import Store
from experiments.sweep import device_of

INBOX_THREADS = 8  # nodes that are served at once


@contextmanager
def joined(
    jobs: Sequence[Job], store: Store, resources: Resources, folder: Path, flag: Path, progress: Progress
) -> Iterator[Cluster]:
    """What each node is told; until the end of the block a file in the store shows nodes whether they have that store.

    Raises:
        ValueError: if trials would fail on a node, or the driver's node has not the driver's files; names the node.
    """
    token = f"sweep-{secrets.token_hex(8)}"
    data = needed_data(jobs, folder)
    here = on_node(ray.get_runtime_context().get_node_id())
    # all that it knows are its arguments, so that it may start anew
    actor = {"num_cpus": 0, "max_concurrency": INBOX_THREADS, "max_restarts": -1, "max_task_retries": -1}
    inbox = ray.remote(scheduling_strategy=here, **actor)(Inbox).remote(list(jobs), store, folder, data, flag)
    cluster = Cluster(inbox, folder, store, token, data, os.environ.get(DATA_URI))
    write_text(cluster.token_file, token)
    try:
        _check_inbox(cluster)
        progress.note("looking at the nodes of the cluster")
        found, text = look_around(cluster, jobs[0].provenance, resources, device_of(resources))
        progress.note(text)
        yield replace(cluster, found=found)
    finally:
        cluster.token_file.unlink(missing_ok=True)


def _check_inbox(cluster: Cluster) -> None:
    """Refuse a node of Ray on the driver's machine that cannot run this code, or has another file system."""
    node = f"the node of Ray that this command is connected to ({ray.util.get_node_ip_address()})"
    try:
        sees = ray.get(cluster.inbox.sees.remote(cluster.token_file), timeout=LOOK_SECONDS)
    except ray.exceptions.RayError as error:
        raise ValueError(
            f"{node} cannot run this code: {last_line(error)}; install requirements.txt for the Python that runs Ray "
            "there"
        ) from error
    if not sees:
        raise ValueError(
            f"{node} does not see {cluster.store.root}: run the command where that node runs, in its container if it "
            "has one"
        )
