"""What stops a sweep before it trains anything: data that cannot be read, or from which an arm cannot learn."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.check_data import check_data
from experiments.jobs import list_jobs
from experiments.provenance import Provenance
from experiments.study import Study


@pytest.mark.parametrize(
    ("part", "field", "value"), [("train", "category_id", 99), ("val", "area", None)], ids=["training", "validation"]
)
def test_a_bad_annotation_stops_the_sweep_before_it_starts(
    study: Study, shapes: Path, tmp_path: Path, made_from: Provenance, part: str, field: str, value: int | None
) -> None:
    content = json.loads((shapes / f"instances_{part}.json").read_text())
    content["annotations"][0][field] = value
    (tmp_path / "broken.json").write_text(json.dumps(content))
    trial = study.trials[0]
    data = trial.config.data.model_copy(update={f"{part}_annotations": str(tmp_path / "broken.json")})
    broken = replace(study, trials=(replace(trial, config=trial.config.model_copy(update={"data": data})),))
    with pytest.raises(ValueError, match=rf"broken\.json: .*\n.*annotation 1 .*{field} is {value}"):
        check_data(list_jobs(broken, made_from))


def test_categories_of_other_data_are_named_before_the_sweep_starts(study: Study, made_from: Provenance) -> None:
    trial = study.trials[0]
    supervision = trial.config.supervision.model_copy(update={"mask_ratio": 1.0, "mask_categories": ("star", "cat")})
    config = trial.config.model_copy(update={"supervision": supervision})
    jobs = list_jobs(replace(study, trials=(replace(trial, config=config),)), made_from)
    message = r"pair: arm 'a': supervision\.mask_categories has unknown classes \['cat'\], expected some of \[.*'star'"
    with pytest.raises(ValueError, match=message):
        check_data(jobs)
    check_data(jobs, allow_holes=True)


def test_validation_without_any_mask_is_refused_before_training(study: Study, made_from, tmp_path: Path) -> None:
    root = Path(study.trials[0].config.data.root)
    content = json.loads((root / "instances_val.json").read_text())
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    trial = study.trials[0]
    data = trial.config.data.model_copy(update={"val_annotations": str(tmp_path / "boxes.json")})
    boxes_only = replace(study, trials=(replace(trial, config=trial.config.model_copy(update={"data": data})),))
    with pytest.raises(ValueError, match=r"boxes\.json: no annotation has a mask"):
        check_data(list_jobs(boxes_only, made_from))


def test_an_arm_that_the_data_cannot_teach_is_refused_before_training(study: Study, made_from, tmp_path: Path) -> None:
    trial = study.trials[0]
    loss = trial.config.loss.model_copy(update={"dice": 1.0, "projection": 0.0, "pairwise": 0.0})
    dice_only = replace(study, trials=(replace(trial, config=trial.config.model_copy(update={"loss": loss})),))
    jobs = list_jobs(dice_only, made_from)  # mask_ratio is 0
    with pytest.raises(ValueError, match=r"pair: arm 'a': .*no instance with a mask .*allow_holes in params\.yaml"):
        check_data(jobs)
    check_data(jobs, allow_holes=True)
