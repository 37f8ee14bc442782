"""A sweep on nodes that share no folder with the driver, of which one is killed, is equal to one on this machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.record import read_record
from tests.experiments.parallel.nodes.conftest import ROOT, Machines, needs_namespaces
from tests.experiments.test_faults import EPOCHS, Sweep

STUDY = """
question: q
source: s
expectation: a < b
reference_arm: full
arms:
  box_mask: {loss.box_mask: 1, loss.dice: 0, loss.projection: 0, loss.pairwise: 0}
  both: {loss.dice: 0}
  dice: {loss.dice: 2}
  full: {supervision.mask_ratio: 1, loss.projection: 0, loss.pairwise: 0}
"""
DATA = "datasets/mine"


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


@pytest.mark.slow
@needs_namespaces()
def test_nodes_that_share_nothing_and_one_that_is_killed_give_the_table_of_one_machine(
    sweeps: tuple[Sweep, Sweep], machines: Machines
) -> None:
    alone, spread = sweeps
    assert alone.run("--in-process") == 0
    for name in ("near", "far"):
        machines.add(name, blind_to=[spread.folder, ROOT])

    def one_trial_in_its_middle(sweep: Sweep) -> bool:
        return max((epoch for _, epoch in sweep.seen), default=0) >= EPOCHS // 2

    status = spread.run(until=one_trial_in_its_middle, do=lambda process: machines.kill("far"))
    print(spread.said)
    assert status == 0, spread.said
    assert "2 nodes: 0 share the store, 2 send their trials; 2 have a copy of the data" in spread.said
    assert spread.results() == alone.results()
    records = [read_record(path) for path in (spread.folder / "store").glob("*/record.json")]
    assert len(records) == 4
    assert {record.host for record in records} <= {"near", "far"}
    assert not list((spread.folder / "store" / "locks").glob("sweep-*"))
