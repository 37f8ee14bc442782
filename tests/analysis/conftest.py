"""Made-up results as the pipeline would write them."""

import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from analysis.study import Study, load_study
from tests.analysis.domains_made_up import LOSSES
from tests.analysis.made_up import STUDIES, made_up_record, record_of, traced_record, trial_row

LOSS_TERMS_AP = {"box_mask": 12.0, "projection": 30.0, "pairwise": 1.0, "both": 50.0, "full": 60.0}
STUDY_FILE = """
question: Which term matters?
source: loss ablation
expectation: box_mask < projection < both < full. Pairwise alone degenerates.
reference_arm: full
labels:
  box_mask: box as mask
  projection: projection only
  pairwise: pairwise only
  both: projection + pairwise
  full: full masks
arms: {box_mask: {}, projection: {}, pairwise: {}, both: {}, full: {}}
"""
PROJECT_STUDIES = Path(__file__).parents[2] / "experiments/studies"


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

    def write(
        folder: Path, recipe: str = "shapes", epochs: int = 2, digest: str = "d1", device: str = "cpu x86_64 AVX2"
    ) -> None:
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
            record = record_of(config, seed=trial.seed, curves=curves, device=device, data_digest=digest)
            (trials / f"{trial.trial_key}.json").write_text(record.to_json())

    return write


@pytest.fixture
def write_traced() -> Callable[..., Path]:
    """Writes `folder/loss_terms.csv` and its records so that each number can be traced, as the pipeline does."""

    def write(folder: Path, aps: dict[str, list[float | None]], device: str = "cpu x86_64") -> Path:
        trials = folder / "loss_terms" / "trials"
        shutil.rmtree(trials, ignore_errors=True)
        trials.mkdir(parents=True)
        rows = []
        for index, (arm, of_arm) in enumerate(aps.items()):
            for seed, ap in enumerate(of_arm):
                record = traced_record(arm, seed, ap, projection=float(index)).changed(device=device)
                row = trial_row(arm, seed, ap, record.reason)
                row |= {"trial_key": record.key, "status": record.status}
                row["mask_to_box_area"] = record.metrics.get("mask_to_box_area")
                identity = {name: row.pop(name) for name in ("study", "arm", "seed", "trial_key")}
                rows.append(identity | {"loss.projection": float(index)} | row)
                (trials / f"{record.key}.json").write_text(record.to_json())
        pd.DataFrame(rows).to_csv(folder / "loss_terms.csv", index=False)
        return folder / "loss_terms.csv"

    return write


def described_as_the_project_s(name: str, arms: Collection[str], header: str) -> dict[str, Any]:
    """The content of a study file: `header` over the project's labels of these arms, view and x."""
    project = yaml.safe_load((PROJECT_STUDIES / f"{name}.yaml").read_text())
    labels = {arm: words for arm, words in project["labels"].items() if arm in arms}
    own = {key: project[key] for key in ("view", "x") if key in project}
    return {"labels": labels} | own | (yaml.safe_load(header) or {})


@pytest.fixture
def write_study() -> Callable[..., Path]:
    """Writes CSV, records and study file of a made-up study: {arm: APs of seeds 0, 1, ...}; None is a hole.

    `folder/studies/<name>.yaml` gets `header` and, of the project's study of this name, the labels of these arms, the
    view and its x; the records of all seeds of an arm have its `categories`, {arm:
    {category: AP}}, and its `num_instances`. Failed trials leave a record only where `failed_records`.
    """

    def write(
        folder: Path,
        name: str,
        aps: dict[str, list[float | None]],
        *,
        header: str = "{}",
        categories: dict[str, dict[str, float]] | None = None,
        num_instances: dict[str, int] | None = None,
        failed_records: bool = False,
        digest: str = "d1",
        recipe: str = "shapes",
    ) -> Path:
        trials = folder / name / "trials"
        trials.mkdir(parents=True, exist_ok=True)
        rows = []
        for arm, of_arm in aps.items():
            varied = STUDIES[name][arm]
            for seed, ap in enumerate(of_arm):
                row = trial_row(arm, seed, ap, "ran out of memory" if ap is None else "") | {"study": name}
                row |= {"mask_APs": None if ap is None else 0.6 * ap, "mask_APl": None}
                cells = {field: "-".join(v) if isinstance(v, list) else v for field, v in varied.items()}
                rows.append({key: row[key] for key in list(row)[:4]} | cells | {key: row[key] for key in list(row)[4:]})
                if ap is not None or failed_records:
                    record = made_up_record(recipe, seed, ap, varied).changed(
                        data_digest=digest,
                        per_class=(categories or {}).get(arm, {}),
                        num_train_instances=(num_instances or {}).get(arm),
                    )
                    (trials / f"{row['trial_key']}.json").write_text(record.to_json())
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
        (folder / "studies").mkdir(exist_ok=True)
        (folder / "studies" / f"{name}.yaml").write_text(yaml.safe_dump(described_as_the_project_s(name, aps, header)))
        return folder / "studies" / f"{name}.yaml"

    return write


@pytest.fixture
def coco_config() -> Callable[..., dict[str, Any]]:
    """Settings of the released R-50 1x model, with what matters to a published number as arguments."""

    def config(
        name: str = "coco_r50_1x", *, depth: int = 50, steps: int = 90_000, short_side: int = 800, pyramid: str = "fpn"
    ) -> dict[str, Any]:
        files = {f"{part}_annotations": f"annotations/instances_{part}2017.json" for part in ("train", "val")}
        return {
            "name": name,
            "data": {"root": "datasets/coco", "val_short_side": short_side, "long_side_max": 1333} | files,
            "model": {"backbone": {"name": f"resnet{depth}", "weights": "weights/R.pkl"}, "pyramid": pyramid},
            "training": {"steps": steps, "epochs": None, "batch_size": 16},
        }

    return config


@pytest.fixture
def write_edge_purity() -> Callable[..., Path]:
    """Writes `folder/edge_purity.csv` for {τ: (share of 1000 edges kept, purity)} of the paper's neighborhood."""

    def write(folder: Path, shares: dict[float, tuple[float, float]], digest: str = "d1") -> Path:
        rows = []
        for tau, (kept, purity) in shares.items():
            num_kept = round(1000 * kept)
            pure = round(num_kept * purity)
            rows.append(
                {"neighborhood_size": 3, "neighborhood_dilation": 2, "color_threshold": tau, "edges": 1000}
                | {"kept": num_kept, "pure": pure, "different": 1000, "different_kept": num_kept - pure}
                | {"share_kept": num_kept / 1000, "purity": pure / num_kept if num_kept else None}
                | {"num_images": 2, "num_instances": 3, "data_digest": digest, "short_side": 160}
                | {"color_temperature": 2.0}
            )
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(folder / "edge_purity.csv", index=False)
        return folder / "edge_purity.csv"

    return write


@pytest.fixture
def write_domain(tmp_path, monkeypatch, study, write_results, write_records) -> Callable[..., Path]:
    """Writes the loss terms of a domain to a folder of an empty project, with the weights in the records."""
    monkeypatch.chdir(tmp_path)

    def write(folder: str, aps: dict, recipe: str) -> Path:
        csv = write_results(Path(folder), aps)
        write_records(Path(folder), recipe=recipe)
        for trial in pd.read_csv(csv).itertuples():
            path = Path(folder) / "loss_terms/trials" / f"{trial.trial_key}.json"
            projection, pairwise = LOSSES[trial.arm]
            weights = f'"loss": {{"projection": {projection}, "pairwise": {pairwise}}}, "model"'
            path.write_text(path.read_text().replace('"model"', weights, 1))
        return Path(folder)

    return write
