"""Made-up results as the pipeline would write them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.results import METRICS
from analysis.study import Study, load_study

LOSS_TERMS_AP = {"box_mask": 12.0, "projection": 30.0, "pairwise": 1.0, "both": 50.0, "full": 60.0}
STUDY_FILE = """
question: Which term matters?
source: loss ablation
expectation: box_mask < projection < both < full. Pairwise alone degenerates.
reference_arm: full
arms: {box_mask: {}, projection: {}, pairwise: {}, both: {}, full: {}}
"""


def trial_row(arm: str, seed: int, mask_ap: float | None, reason: str = "") -> dict[str, Any]:
    values = dict.fromkeys(METRICS, mask_ap) | {"box_AP": None if mask_ap is None else 61.0, "mask_to_box_area": 0.5}
    status = "failed" if mask_ap is None else "finished"
    key = f"{arm}{seed}"
    return {
        "study": "loss_terms",
        "arm": arm,
        "seed": seed,
        "trial_key": key,
        **values,
        "status": status,
        "reason": reason,
    }


@pytest.fixture
def study(tmp_path: Path) -> Study:
    path = tmp_path / "studies" / "loss_terms.yaml"
    path.parent.mkdir()
    path.write_text(STUDY_FILE)
    return load_study(path, list(LOSS_TERMS_AP))


@pytest.fixture
def write_results() -> Callable[..., Path]:
    """Writes `folder/loss_terms.csv` for {arm: APs of seeds 0, 1, ...}; an AP of None is a hole."""

    def write(folder: Path, aps: dict[str, list[float | None]]) -> Path:
        rows = [
            trial_row(arm, seed, ap, "ran out of memory" if ap is None else "")
            for arm, of_arm in aps.items()
            for seed, ap in enumerate(of_arm)
        ]
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(folder / "loss_terms.csv", index=False)
        return folder / "loss_terms.csv"

    return write


@pytest.fixture
def write_records() -> Callable[..., None]:
    """Writes a record of two epochs for each finished trial of `folder/loss_terms.csv`."""

    def write(folder: Path, recipe: str = "shapes", epochs: int = 2, digest: str = "d1") -> None:
        trials = folder / "loss_terms" / "trials"
        trials.mkdir(parents=True, exist_ok=True)
        for trial in pd.read_csv(folder / "loss_terms.csv").dropna(subset="mask_AP").itertuples():
            curves = [
                {"epoch": 1, "loss/total": 2.0, "loss/pairwise": 0.1, "loss/dice": 0.5, "pairwise_warmup": 0.5},
                {"epoch": 2, "loss/total": 1.0, "loss/pairwise": 0.2, "loss/dice": 0.4, "pairwise_warmup": 1.0}
                | {"mask_AP": trial.mask_AP},
            ]
            config = {
                "name": recipe,
                "data": {"root": f"data/{recipe}", "val_short_side": 160, "long_side_max": 160},
                "model": {"backbone": {"name": "resnet18", "weights": None}},
                "training": {"epochs": epochs, "steps": None},
            }
            record = {"config": config, "seed": trial.seed, "curves": curves, "device": "cpu", "data_digest": digest}
            (trials / f"{trial.trial_key}.json").write_text(json.dumps(record))

    return write
