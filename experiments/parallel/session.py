"""Ray for the time of a sweep, and the folder of Tune's own state. Does not import torch, which takes seconds."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import ray

from experiments.parallel.nodes.code_copy import copy_code
from experiments.parallel.nodes.watch import HeadLost, head_watched
from experiments.parallel.placement import check_resources
from experiments.parallel.start import joins_cluster, start_ray
from experiments.parallel.stop import killed_when_told_to_end, sigterm_held_back
from experiments.params import Resources


@contextmanager
def ray_started(resources: Resources) -> Iterator[Path]:
    """Ray until the end of the block, and the folder of its sweep.

    Entered as soon as there is something to run: meanwhile the processes of the trials start.

    Raises:
        ValueError: if no node has the resources of one trial.
        OSError: if Ray does not start, or the head of a cluster is gone.
    """
    with sweep_folder(Path.cwd() / ".ray") as sweep, ExitStack() as until_the_end:
        if joins_cluster():
            code = copy_code(sweep / "code")
            with sigterm_held_back():
                start_ray(resources, code)
            until_the_end.enter_context(head_watched(ray.get_runtime_context().gcs_address))
        else:
            with sigterm_held_back():
                start_ray(resources)
        check_resources(resources)
        yield sweep


@contextmanager
def sweep_folder(root: Path) -> Iterator[Path]:
    """A new folder for Tune's own state; at the end Ray is shut down and the folder is removed."""
    root.mkdir(exist_ok=True)
    sweep = Path(tempfile.mkdtemp(prefix="sweep-", dir=root))
    lost = False
    try:
        yield sweep
    except HeadLost:
        lost = True
        raise
    finally:
        with sigterm_held_back(), killed_when_told_to_end():
            if not lost:  # else it would wait for the head
                ray.shutdown()
            shutil.rmtree(sweep, ignore_errors=True)
