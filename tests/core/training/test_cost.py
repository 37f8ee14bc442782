"""The cost of a training, from some of its steps."""

import json

import pytest

from core.compute.compute import Compute
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets import coco, image_cache
from core.datasets.check.expected_cost import ExpectedCost
from core.datasets.sources.shapes import generate
from core.training import cost
from core.training.cost import main, training_cost

SMALL = {"data.short_sides": [64], "data.long_side_max": 64, "data.val_short_side": 64, "training.batch_size": 2}


@pytest.fixture
def root(tmp_path):
    generate(tmp_path / "shapes", {"train": 5, "test": 3}, size=96)
    return tmp_path / "shapes"


def config_of(root, **training):
    data = {"root": str(root), "short_sides": [64], "long_side_max": 64, "val_short_side": 64}
    changes = {"data": data, "training": {"batch_size": 2} | training}
    return build_config(merge(load_recipe("shapes"), changes), "test")


@pytest.fixture
def seconds(monkeypatch):
    """Pretends these times: to decode an image, of a step, to detect in an image, of a checkpoint."""
    now = [0.0]

    def slowed(module, name, duration):
        original = getattr(module, name)

        def slow(*given, **named):
            now[0] += duration
            return original(*given, **named)

        monkeypatch.setattr(module, name, slow)

    def pretend(decode, step, image, save):
        monkeypatch.setattr(cost.time, "perf_counter", lambda: now[0])
        slowed(coco, "open_rgb", decode)
        slowed(cost, "train_step", step)
        slowed(cost, "save_checkpoint", save)
        original = cost.evaluate

        def evaluate(*given, limit, **named):
            now[0] += image * limit
            return original(*given, limit=limit, **named)

        monkeypatch.setattr(cost, "evaluate", evaluate)

    return pretend


def test_minutes_are_those_of_all_steps_evaluations_and_checkpoints(root, seconds):
    seconds(decode=1000.0, step=1.0, image=10.0, save=100.0)
    # 5 images, 2 a step: 2 steps an epoch; 7 epochs, an evaluation of 3 images after 3, 6 and 7
    once = 1000 * (2 * 2 + 3)  # each image is decoded once
    found = training_cost(config_of(root, epochs=7, evaluate_every=3), Compute(), seconds=0.0)
    assert found.steps == 14
    assert found.minutes * 60 == pytest.approx(once + 14 * 1 + 3 * 3 * 10 + 7 * 100)


def test_a_training_without_evaluations_is_evaluated_at_its_end(root, seconds):
    seconds(decode=0.0, step=1.0, image=10.0, save=100.0)
    found = training_cost(config_of(root, epochs=7, evaluate_every=None), Compute(), seconds=0.0)
    assert found.minutes * 60 == pytest.approx(14 * 1 + 3 * 10 + 7 * 100)


def test_images_that_are_not_held_are_decoded_in_every_epoch(root, seconds, monkeypatch):
    monkeypatch.setattr(image_cache, "available_memory", lambda: 0)
    seconds(decode=1000.0, step=1.0, image=10.0, save=100.0)
    found = training_cost(config_of(root, epochs=7, evaluate_every=None), Compute(), seconds=0.0)
    assert found.minutes * 60 == pytest.approx(1000 * (14 * 2 + 3) + 14 * 1 + 3 * 10 + 7 * 100)


def test_the_command_prints_what_the_check_reads(root, capsys):
    changes = [f"--set={name}={value}" for name, value in (SMALL | {"training.epochs": 1}).items()]
    options = ["--recipe", "shapes", "--data-root", str(root), "--seconds", "0", "--device", "cpu"]
    assert main([*options, "--threads", "1", "--loader-processes", "1", *changes]) == 0
    found = ExpectedCost(**json.loads(capsys.readouterr().out))
    assert 0 < found.minutes < 10
    assert 100 < found.memory_mb < 16_000
    assert (found.device, found.threads, found.steps) == ("cpu", 1, 2)


def test_decoded_images_add_to_the_memory(root):
    config = config_of(root, epochs=1)
    data = cost.build_data_sets(config, 0, cost.read_training_file(config.data), cost.read_validation_file(config.data))
    of_image = 64 * 64 * 3  # bytes, at the size of the views
    assert [each.images.bytes_to_come for each in data] == [5 * of_image, 3 * of_image]
    data[0][0]
    assert data[0].images.bytes_to_come == 4 * of_image


def test_wrong_input_is_told(tmp_path, capsys):
    assert main(["--recipe", "shapes", "--data-root", str(tmp_path / "none")]) == 2
    assert "instances_train.json" in capsys.readouterr().err
