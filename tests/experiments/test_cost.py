"""Device-hours at a stated throughput, by numbers worked by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.cost import StudyCost, main, study_costs
from experiments.planning.arm_cost import ArmCosts
from experiments.planning.data_facts import KnownData
from experiments.planning.remembered import Remembered
from experiments.study import Study
from tests.experiments.conftest import write_params


@pytest.fixture
def costs() -> ArmCosts:
    return ArmCosts(KnownData(), Remembered(), code="")


def test_hours_are_images_over_images_per_second(study: Study, costs: ArmCosts) -> None:
    twice = replace(study, seeds=(0, 1))
    # 2 arms x 2 seeds x 2 epochs of 8 images = 64 images; at 4 images/s 16 s
    assert study_costs([twice], costs, 4.0)[0] == StudyCost("pair", 4, 64, 16 / 3600)


def test_trials_that_studies_share_count_once_in_the_sum(study: Study, costs: ArmCosts) -> None:
    other = replace(study, name="other", arms=("b",), trials=study.trials[1:])
    rows = study_costs([study, other], costs, 1.0)
    assert [(row.study, row.trials, row.images) for row in rows] == [
        ("pair", 2, 32),
        ("other", 1, 16),
        ("in all", 2, 32),
    ]


def test_a_teacher_sees_images_too(study: Study, costs: ArmCosts) -> None:
    config = study.trials[1].config
    supervision = config.supervision.model_copy(update={"pseudo_masks": "teacher"})
    taught = replace(study.trials[1], config=config.model_copy(update={"supervision": supervision}))
    assert study_costs([replace(study, trials=(study.trials[0], taught))], costs, 1.0)[0].images == 16 + 2 * 16


def test_no_throughput_is_no_cost(study: Study, costs: ArmCosts) -> None:
    with pytest.raises(ValueError, match="--images-per-second is 0, expected more than 0"):
        study_costs([study], costs, 0.0)


def test_the_cost_on_coco_needs_no_data_and_the_one_in_epochs_does(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(Path(), recipe="shapes", studies="[loss_terms]")
    (Path("experiments") / "sets" / "coco.yaml").write_text("recipe: coco_r50_1x\nstudies: [main]\n")
    assert main(["loss_terms", "--set", "coco", "--images-per-second", "100"]) == 0
    told = capsys.readouterr().out
    # 5 arms x 90,000 steps x 16 images = 7,200,000 images; 72,000 s
    assert "| loss_terms | 5 | 7,200,000 | 20.00 |\n| in all | 5 | 7,200,000 | 20.00 |\n" in told
    assert "device-hours = images seen / images per second / 3600; 100 images per second on one device" in told
    assert main(["--images-per-second", "100"]) == 0
    assert "| loss_terms | 5 | unknown | unknown |" in capsys.readouterr().out
    assert main(["--set", "cocoa", "--images-per-second", "100"]) == 2
    assert "set 'cocoa': no file experiments/sets/cocoa.yaml (did you mean 'coco'?)" in capsys.readouterr().err
