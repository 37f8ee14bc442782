"""A project with a search in it."""

from pathlib import Path

import pytest

from experiments.params import load_params
from experiments.search import drawn
from experiments.search.drawn import SearchStudy, load_search
from tests.experiments.conftest import write_params

SETTINGS = "{training.epochs: 4, training.evaluate_every: 1}"
FILE = """
question: Which threshold?
settings: {{loss.dice: 0}}
search:
  trials: {trials}
  space: {{loss.color_threshold: {{uniform: [0.1, 0.6]}}, loss.pairwise: {{choice: [0.5, 2]}}}}
  halving: {{first_epoch: 1, reduction_factor: 2}}
"""


@pytest.fixture
def here(tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with params.yaml, the data of its set and a folder of searches, in which `mine` has six trials."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drawn, "SEARCHES", tmp_path)
    monkeypatch.setattr(drawn.load_search, "__defaults__", (tmp_path,))
    write_params(Path(), recipe="tiny", rest=f"settings: {SETTINGS}\nseeds: [3, 4]\nresources: {{parallel_trials: 1}}")
    Path("datasets").mkdir()
    Path("datasets/mine").symlink_to(shapes)
    Path("mine.yaml").write_text(FILE.format(trials=6))
    return tmp_path


def load(name: str = "mine") -> SearchStudy:
    return load_search(name, load_params(Path("params.yaml")), "params.yaml")
