"""What a training says: its data and schedule, advice, and the line of an epoch."""

import logging
import math
from pathlib import Path
from typing import Any

import pytest

from core.checkpoints.start import Start
from core.compute.compute import Compute
from core.config import Config, ModelConfig
from core.datasets.coco import read_training_file, read_validation_file
from core.training.data_sets import build_data_sets
from core.training.loop import train
from core.training.pace import EpochTime
from core.training.report import Plan, Report, advice_on_steps, describe_start, epoch_line, start_lines
from core.training.schedule import Schedule
from tests.core.training.tiny_training import root, tiny

__all__ = ["root"]  # a fixture

NUMBERS = {
    "epoch": 3, "epochs": 80, "step": 45, "pairwise_warmup": 0.25, "learning_rate": 0.1, "seconds": 9.0,
    "loss/class": 0.5, "loss/class_unweighted": 0.6, "loss/dice": 0.0, "loss/mask_projection": 0.75,
    "loss/pairwise": 0.125, "loss/total": 1.375, "edges_kept": 0.5,
}  # fmt: skip
NOT_EVALUATED = EpochTime(images=120, training=8.0, evaluation=None)


def plan_of(config: Config, *, epochs_done: int = 0, steps_done: int = 0, start: Start | None = None) -> Plan:
    files = read_training_file(config.data), read_validation_file(config.data)
    training_set, validation_set = build_data_sets(config, 0, *files)
    schedule = Schedule.of(config, num_images=len(training_set), num_workers=1)
    return Plan(schedule, [training_set], validation_set, epochs_done, steps_done, start, Path("runs/a"))


def schedule_of(root: Path, num_images: int, **training: Any) -> Schedule:
    return Schedule.of(tiny(root, training=training), num_images=num_images, num_workers=1)


def start_of(classes: list[str] | None, num_classes: int) -> Start:
    return Start(Path("a.pt"), "0" * 16, ModelConfig(), {}, classes, num_classes)


def test_the_line_of_an_epoch_names_place_losses_speed_and_time_left() -> None:
    assert epoch_line(NUMBERS, 1200, NOT_EVALUATED, 125.0) == (
        "epoch 3/80, step 45/1200: loss 1.375 (class 0.500, mask projection 0.750, pairwise 0.125), "
        "pairwise warm-up 0.25, 15.0 images/s, 2 min left"
    )


def test_what_is_not_there_is_not_named() -> None:
    last = NUMBERS | {"epoch": 80, "step": 1200, "pairwise_warmup": 1.0}
    resumed = EpochTime(images=0, training=0.01, evaluation=2.0)
    assert epoch_line(last, 1200, resumed, 0.0) == (
        "epoch 80/80, step 1200/1200: loss 1.375 (class 0.500, mask projection 0.750, pairwise 0.125)"
    )
    without = {name: value for name, value in NUMBERS.items() if not name.startswith("loss/pairwise")}
    assert "warm-up" not in epoch_line(without, 1200, NOT_EVALUATED, None)
    assert "left" not in epoch_line(without, 1200, NOT_EVALUATED, None)


@pytest.mark.parametrize(
    ("box", "mask", "text"),
    [
        (12.34, 8.76, "box AP 12.3, mask AP 8.8"),
        (12.34, math.nan, "box AP 12.3"),
        (math.nan, math.nan, "box AP -"),
    ],
)
def test_mask_ap_is_named_where_there_are_masks(box: float, mask: float, text: str) -> None:
    line = epoch_line(NUMBERS | {"box_AP": box, "mask_AP": mask}, 1200, NOT_EVALUATED, None)
    assert f"0.25, {text}, 15.0 images/s" in line


def test_the_start_names_data_schedule_and_folder(root: Path) -> None:
    lines = start_lines(plan_of(tiny(root)))
    assert lines == [
        f"training    {root}/instances_train.json: 6 images, 11 instances, 0 with a mask, 11 box only",
        f"validation  {root}/instances_val.json: 2 images, 6 instances, 6 with a mask, 0 box only",
        "schedule    4 epochs, 12 steps, evaluated every 2 epochs and at the end",
        "            2 images x 1 accumulated x 1 workers = 2 images per step: 12 steps, learning rate 0.001, "
        "warm-up 2 steps, pairwise warm-up 6 steps, 24 samples seen",
        "folder      runs/a",
        "12 steps are few: about 4,800 are a good start for few photos: --epochs 1600",
    ]
    with_masks = start_lines(plan_of(tiny(root, supervision={"mask_ratio": 1.0}, training={"evaluate_every": 1})))
    assert with_masks[0].endswith("11 with a mask, 0 box only")
    assert with_masks[2].endswith("evaluated after each epoch")


def test_a_resumed_training_says_where_it_is_and_gives_no_advice(root: Path) -> None:
    lines = start_lines(plan_of(tiny(root), epochs_done=1, steps_done=5))
    assert lines[-1] == "resumed     after 1 of 4 epochs, 5 of 12 steps"


def test_boxes_first_names_the_data_of_both_phases_and_pseudo_masks_who_made_them(root: Path) -> None:
    plan = plan_of(tiny(root, supervision={"mask_ratio": 0.5, "boxes_first": 0.5}))
    lines = start_lines(Plan(plan.schedule, [plan.phases[0]] * 2, plan.validation_set, 0, 0, None, plan.folder))
    assert lines[0].endswith("; epochs 1 to 2, without masks")
    assert lines[1].startswith("then        ")
    made = start_lines(plan_of(tiny(root, supervision={"pseudo_masks": "grabcut"})))
    assert made[0].endswith(" (annotated, or made by GrabCut)")


@pytest.mark.parametrize(
    ("num_images", "settings", "advice"),
    [
        # 61 photos, 8 a step: 7 steps an epoch, 1200 / 7 = 171.4
        (61, {"epochs": 15, "batch_size": 8}, "105 steps are few: about 1,200 {}: --epochs 172"),
        (61, {"epochs": 172, "batch_size": 8}, None),
        (61, {"steps": 1200, "epochs": None, "batch_size": 8}, None),
        (61, {"steps": 1199, "epochs": None, "batch_size": 8}, "1,199 steps are few: about 1,200 {}: --epochs 172"),
        (61, {"epochs": 15, "batch_size": 16}, "45 steps are few: about 600 {}: --epochs 200"),
        (3, {"steps": 1, "epochs": None, "batch_size": 8}, "1 step is few: about 1,200 {}: --epochs 1200"),
    ],
)
def test_few_steps_are_advised_against(root: Path, num_images: int, settings: dict, advice: str | None) -> None:
    expected = advice and advice.format("are a good start for few photos")
    assert advice_on_steps(schedule_of(root, num_images, **settings)) == expected


@pytest.mark.parametrize(
    ("start", "text"),
    [
        (start_of(["cat", "dog"], 2), "a.pt, with its 2 classes"),
        (start_of(["dog", "cat"], 2), "a.pt, with its 2 classes"),
        (start_of(["cow", "dog"], 2), "a.pt; classes: kept dog; new cat; dropped cow"),
        (start_of(["cow"], 1), "a.pt; classes: new cat, dog; dropped cow"),
        (start_of(None, 80), "a.pt; the 80 classes of AdelaiDet's file have no names: all classes are new"),
        (start_of(None, 2), "a.pt; the 2 classes of AdelaiDet's file have no names: assumed to be those of the data"),
    ],
)
def test_the_classes_of_a_start_are_told(start: Start, text: str) -> None:
    assert describe_start(start, ["cat", "dog"]) == text


def test_a_training_and_its_teacher_say_a_line_an_epoch_in_the_log(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    config = tiny(root, supervision={"pseudo_masks": "teacher"}, training={"epochs": 2, "evaluate_every": None})
    with caplog.at_level(logging.INFO, "core.training.report"):
        train(config, 0, Compute(), folder=tmp_path, report=Report())
    heads = [message.partition(":")[0] + message.partition(":")[2][:13] for message in caplog.messages]
    epochs = [message.partition(": loss")[0] for message in caplog.messages if ": loss" in message]
    assert epochs == [
        "teacher: epoch 1/2, step 3/6",
        "teacher: epoch 2/2, step 6/6",
        "epoch 1/2, step 3/6",
        "epoch 2/2, step 6/6",
    ]
    assert heads[0].startswith("teacher training")
    assert [", box AP" in message for message in caplog.messages if ": loss" in message] == [False, True] * 2
    assert "progress" not in capsys.readouterr().err


def test_without_a_report_nothing_is_said(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        train(tiny(root, training={"epochs": 1}), 0, Compute(), folder=tmp_path)
    assert caplog.messages == []
    assert capsys.readouterr() == ("", "")
