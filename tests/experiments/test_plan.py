"""What a study would take: counted by hand, and told without data, weights or training."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from core.config import BackboneConfig, DataConfig, ModelConfig
from core.config.file import build_config
from core.config.recipe import load_recipe
from core.model.build import build_model
from experiments.plan import (
    NUM_MASKS,
    PUBLISHED_CSV,
    describe_study,
    device_hours,
    network_size,
    padded_size,
    print_plan,
    published_numbers,
    schedule,
)
from experiments.run import main
from experiments.store import Store
from experiments.study import Study, load_study
from tests.experiments.conftest import BASE, write_params

HEAD = "table,row,method,backbone,schedule,split,metric,value,status,status_meaning,source,note\n"
ROWS = """pair,a,x,R-50,1x,COCO test-dev,mask_AP,32.5,M,recalled,s,
pair,a,x,R-50,1x,COCO test-dev,mask_AP50,55.3,M,recalled,s,
zoo,adelaidet_a,x,R-50,1x,COCO val2017,mask_AP,32.2,V,verified,s,
pair,b,x,R-50,1x,COCO val2017,mask_AP,,none,nothing known,s,
other,a,x,R-50,1x,COCO val2017,mask_AP,99,V,verified,s,
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published.csv"
    path.write_text(HEAD + ROWS)
    return path


@pytest.fixture
def elsewhere(study: Study) -> Study:
    """The study on data that is not there."""

    def moved(trial):
        data = trial.config.data.model_copy(update={"root": "nowhere"})
        return replace(trial, config=trial.config.model_copy(update={"data": data}))

    return replace(study, trials=tuple(map(moved, study.trials)))


def test_photos_are_taken_for_2_by_3_unless_the_longer_side_is_limited() -> None:
    assert padded_size(build_config(load_recipe("coco_r50_1x"), "x").data) == (800, 1216)  # 800 x 1200
    assert padded_size(build_config(load_recipe("shapes"), "x").data) == (160, 160)
    assert padded_size(DataConfig(val_short_side=65, long_side_max=1000)) == (96, 128)  # 65 x 97.5


def test_a_network_without_memory_counts_as_one_with_it() -> None:
    model = build_config(BASE, "tiny").model
    network = build_model(model, 4).eval()
    images = torch.zeros(1, 3, 96, 128, dtype=torch.uint8)
    index = torch.zeros(NUM_MASKS, dtype=torch.int64)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.predict_masks(network(images, [(96, 128)]), index, index)
    size = network_size(model, 4, 96, 128)
    assert size.parameters == sum(parameter.numel() for parameter in network.parameters())
    # torch counts no biases, and the mask head multiplies its first layer's in with the weights
    assert size.forward_flops == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_a_deformable_convolution_costs_what_writes_its_shifts_beside_the_convolution() -> None:
    plain, deformable = (ModelConfig(backbone=BackboneConfig(deformable_interval=interval)) for interval in (None, 1))
    added = network_size(deformable, 80, 64, 64).forward_flops - network_size(plain, 80, 64, 64).forward_flops
    # 27 maps from 3x3 windows, in 4, 6 and 3 blocks of 128, 256 and 512 channels on grids of 8x8, 4x4 and 2x2
    assert added == 2 * 27 * 9 * (4 * 128 * 64 + 6 * 256 * 16 + 3 * 512 * 4)


def test_weights_need_not_be_there() -> None:
    backbone = BackboneConfig(name="resnet18", weights="weights/none.pkl")
    assert network_size(ModelConfig(backbone=backbone), 80, 64, 64).parameters > 11_000_000


def test_of_mask_rcnn_only_the_parameters_are_known() -> None:
    size = network_size(ModelConfig(architecture="mask_rcnn", backbone=BackboneConfig(name="resnet18")), 2, 64, 64)
    assert size.parameters > 11_000_000
    assert size.forward_flops is None


def test_hours_are_samples_times_three_forward_passes() -> None:
    # 1.44 M x 3 x 0.4 TFLOP / 20 TFLOP/s = 86,400 s
    assert device_hours(1_440_000, 400_000_000_000, 20) == pytest.approx(24)
    with pytest.raises(ValueError, match="--teraflops is 0, expected more than 0"):
        device_hours(1, 1, 0)


def test_published_numbers_come_with_split_and_status(published: Path) -> None:
    assert published_numbers(published, "pair", "a") == [
        ("32.5 on COCO test-dev (M)", "M: recalled"),
        ("32.2 on COCO val2017 (V)", "V: verified"),
    ]
    assert published_numbers(published, "pair", "b") == []
    with pytest.raises(ValueError, match=r"none\.csv: cannot be read as a table of published numbers"):
        published_numbers(published.parent / "none.csv", "pair", "a")


@pytest.mark.parametrize("name", ["main", "voc"])
def test_every_row_of_the_tables_on_coco_and_voc_has_a_published_number(name: str) -> None:
    for arm in load_study(name, {}, (0,)).arms:
        assert published_numbers(PUBLISHED_CSV, name, arm), arm


def test_an_arm_is_told_with_its_difference_size_hours_and_number(study: Study, published: Path) -> None:
    told = describe_study(replace(study, seeds=(0, 1)), 20.0, published)
    first, second = told.split("\na: ")[1].split("\nb: ")
    assert first.startswith("recipe tiny\n    4 images x 1 accumulated x 1 workers = 4 images per step: 4 steps, ")
    assert "16 samples seen\n" in first  # 2 epochs of 8 images
    assert "published mask AP: 32.5 on COCO test-dev (M); 32.2 on COCO val2017 (V)" in first
    assert "differs from a: loss.dice=2.0\n" in second
    assert "published mask AP: none known" in second
    assert " M parameters with 4 classes, " in first
    model = study.trials[0].config.model
    hours = device_hours(16, network_size(model, 4, 64, 64).forward_flops, 20)
    assert f"at 64x64 px, {hours:.3g} device-hours" in first
    assert f"2 arms x 2 seeds: {4 * hours:.3g} device-hours = samples seen x 3 x forward FLOP" in told
    assert told.endswith("M: recalled\nV: verified")


def test_a_teacher_is_trained_too(study: Study) -> None:
    config = study.trials[1].config
    supervision = config.supervision.model_copy(update={"pseudo_masks": "teacher"})
    taught = replace(study.trials[1], config=config.model_copy(update={"supervision": supervision}))
    told = describe_study(replace(study, trials=(study.trials[0], taught)), 20.0)
    hours = [float(line.split()[-2 if line.endswith("hours") else -5]) for line in told.splitlines() if "GFLOP" in line]
    assert hours[1] == pytest.approx(2 * hours[0], rel=0.01)
    assert "device-hours including its teacher\n" in told


def test_epochs_of_data_that_is_not_there_have_no_length(elsewhere: Study) -> None:
    assert schedule(elsewhere.trials[0]) == ("2 epochs: no data to count their steps", None)
    assert "with 80 classes, device-hours unknown" in describe_study(elsewhere, 20.0)


def test_the_trials_to_run_are_listed_and_nothing_is_written(study: Study, tmp_path: Path, capsys, made_from) -> None:
    print_plan([study], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
    trials = [line.split() for line in capsys.readouterr().out.splitlines() if "pair/" in line]
    assert [(words[0], words[1], words[3], words[4]) for words in trials] == [
        ("to", "run", "pair/a-seed0", "loss.dice=0.0"),
        ("to", "run", "pair/b-seed0", "loss.dice=2.0"),
    ]
    assert not list((tmp_path / "store").glob("*"))


def test_without_data_the_plan_is_told_all_the_same(elsewhere: Study, tmp_path: Path, capsys) -> None:
    print_plan([elsewhere], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("cannot determine which trials are finished: data.root 'nowhere': no such folder")


def test_the_command_needs_neither_data_nor_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.parallel.start.ray.init", lambda **_: pytest.fail("Ray was started"))
    write_params(Path(), recipe="voc_r50", studies="[voc]")
    assert main(["voc", "--dry-run", "--teraflops", "40"]) == 0
    told = capsys.readouterr().out
    assert "boxinst_r101: recipe voc_r101\n    differs from boxinst_r50: model.backbone.name=resnet101, " in told
    assert "144000 steps, learning rate 0.00125, warm-up 800 steps, pairwise warm-up 8000 steps" in told
    hours = [float(line.split()[-2]) for line in told.splitlines() if "GFLOP" in line]
    flops = network_size(build_config(load_recipe("voc_r50"), "x").model, 80, 800, 1216).forward_flops
    assert math.isclose(hours[0], 288_000 * 3 * flops / 40e12 / 3600, rel_tol=0.005)
    assert {path.name for path in tmp_path.iterdir()} == {"params.yaml", "experiments"}
