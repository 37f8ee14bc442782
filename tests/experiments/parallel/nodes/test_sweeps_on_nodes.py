"""Sweeps on nodes that share all or nothing with the driver, and what may be killed: a node, the driver, the head."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import pytest

from core.record import read_record
from tests.experiments.parallel.nodes.conftest import PROJECT, Machines, needs_namespaces
from tests.experiments.test_faults import Sweep

EPOCHS = 20  # of each arm
STUDY = f"""
question: q
source: s
expectation: a < b
reference_arm: full
settings: {{training.epochs: {EPOCHS}}}
arms:
  box_mask: {{loss.box_mask: 1, loss.dice: 0, loss.projection: 0, loss.pairwise: 0}}
  both: {{loss.dice: 0}}
  dice: {{loss.dice: 2}}
  full: {{supervision.mask_ratio: 1, loss.projection: 0, loss.pairwise: 0}}
"""
DATA = "datasets/mine"

pytestmark = [pytest.mark.slow, needs_namespaces()]


def sweep_in(folder: Path, shapes: Path) -> Sweep:
    """A sweep whose data lies in its folder."""
    sweep = Sweep(folder, Path(DATA))
    (folder / "faults.yaml").write_text(STUDY)
    shutil.copytree(shapes, folder / DATA)
    return sweep


@pytest.fixture
def sweeps(shapes: Path, tmp_path: Path) -> Iterator[tuple[Sweep, Sweep]]:
    both = sweep_in(tmp_path / "alone", shapes), sweep_in(tmp_path / "driver", shapes)
    yield both
    for sweep in both:
        sweep.end()


def share_reported(share: float) -> Callable[[Sweep], bool]:
    return lambda sweep: len(sweep.seen) >= share * 4 * EPOCHS


def test_nodes_that_share_nothing_and_one_that_is_killed_give_the_table_of_one_machine(
    sweeps: tuple[Sweep, Sweep], machines: Machines
) -> None:
    alone, spread = sweeps
    assert alone.run("--in-process") == 0
    for name in ("near", "far"):
        machines.add(name, blind_to=[spread.folder, *PROJECT])
    status = spread.run(until=share_reported(0.7), do=lambda process: machines.kill("far"))
    assert status == 0, spread.said
    assert "nodes for trials: 2; 0 share the store, 2 send their trials; with a copy of the data: 2" in spread.said
    assert spread.results() == alone.results()
    records = [read_record(path) for path in (spread.folder / "store").glob("*/record.json")]
    assert len(records) == 4
    assert {record.host for record in records} == {"near", "far"}
    assert not list((spread.folder / "store" / "locks").glob("sweep-*"))


def test_nodes_that_share_the_folder_give_the_table_of_one_machine(
    sweeps: tuple[Sweep, Sweep], machines: Machines
) -> None:
    alone, spread = sweeps
    assert alone.run("--in-process") == 0
    for name in ("near", "far"):
        machines.add(name)
    assert spread.run() == 0, spread.said
    assert "nodes for trials: 2; 2 share the store, 0 send their trials" in spread.said
    assert spread.results() == alone.results()
    records = [read_record(path) for path in (spread.folder / "store").glob("*/record.json")]
    assert len(records) == 4
    assert {record.host for record in records} == {"near", "far"}
    assert list(machines.folder.glob("cache-*/*")) == []  # nobody fetched what it sees


def test_a_driver_that_is_killed_leaves_a_cluster_on_which_the_same_command_goes_on(
    sweeps: tuple[Sweep, Sweep], machines: Machines
) -> None:
    alone, hurt = sweeps
    assert alone.run("--in-process") == 0
    for name in ("near", "far"):
        machines.add(name, blind_to=[hurt.folder, *PROJECT])
    killed = hurt.run(until=share_reported(0.4), do=lambda process: os.kill(process, signal.SIGKILL))
    assert killed == -signal.SIGKILL
    before = {path.parent.name for path in (hurt.folder / "store").glob("*/checkpoint.pt")}
    assert before
    assert hurt.run() == 0, hurt.said
    assert hurt.results() == alone.results()
    records = [read_record(path) for path in (hurt.folder / "store").glob("*/record.json")]
    assert len(records) == 4
    assert before <= {record.key for record in records}


def test_a_node_that_joins_in_mid_sweep_trains_too(sweeps: tuple[Sweep, Sweep], machines: Machines) -> None:
    alone, grows = sweeps
    for sweep in sweeps:  # the first trial lasts until the other node is there
        study = sweep.folder / "faults.yaml"
        study.write_text(STUDY.replace("box_mask: {", f"box_mask: {{training.epochs: {8 * EPOCHS}, "))
    assert alone.run("--in-process") == 0
    machines.add("near", blind_to=[grows.folder, *PROJECT])
    joins = {"blind_to": [grows.folder, *PROJECT]}
    assert grows.run(until=share_reported(0.05), do=lambda process: machines.add("late", **joins)) == 0, grows.said
    assert grows.results() == alone.results()
    records = [read_record(path) for path in (grows.folder / "store").glob("*/record.json")]
    assert {record.host for record in records} == {"near", "late"}


def test_a_head_that_is_killed_ends_the_sweep_in_a_sentence_and_the_same_command_goes_on(
    sweeps: tuple[Sweep, Sweep], machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, hurt = sweeps
    machines.add("near", blind_to=[hurt.folder, *PROJECT])
    killed: list[float] = []

    def kill_the_head(process: int) -> None:
        killed.append(time.monotonic())
        machines.kill("head")

    assert hurt.run(until=share_reported(0.3), do=kill_the_head) == 2, hurt.said
    seconds = time.monotonic() - killed[0]
    print(f"the driver ended {seconds:.0f} s after its head")
    assert seconds < 60
    said = hurt.said.splitlines()
    assert said[-1].startswith(f"error: the cluster's head at {machines.address} does not answer any more; start"), said
    assert sum("rpc" in line.lower() or "gcs" in line.lower() for line in said) == 0
    checkpoints = (hurt.folder / "store").glob("*/checkpoint.pt")
    assert [path for path in checkpoints if not path.with_name("record.json").exists()]  # of the trial that ran

    monkeypatch.delenv("RAY_ADDRESS")
    assert hurt.run("--in-process") == 0
    assert alone.run("--in-process") == 0
    assert hurt.results() == alone.results()


def test_each_node_that_cannot_run_trials_is_named_with_the_reason(
    sweeps: tuple[Sweep, Sweep], machines: Machines
) -> None:
    _, sweep = sweeps
    (sweep.folder / "store").mkdir()
    machines.add("good", blind_to=PROJECT)
    machines.add("poor", blind_to=[Path(jaxtyping.__file__).parent])
    machines.add("shut", inside=[f"mount --bind -o ro {sweep.folder}/store {sweep.folder}/store"])
    assert sweep.run() == 2
    error = sweep.said.splitlines()[-1]
    assert error.startswith("error: 2 of 3 nodes cannot run trials: node ")
    assert "jaxtyping" in error
    assert "it sees the store and cannot write there: " in error
    assert "Read-only file system" in error
