"""The cost of a training, from some of its steps."""

import json

import pytest

from core.compute.compute import Compute
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets.expected_cost import ExpectedCost
from core.datasets.sources.shapes import generate
from core.training import cost
from core.training.cost import main, training_cost

SMALL = {"data.short_sides": [64], "data.long_side_max": 64, "data.val_short_side": 64, "training.batch_size": 2}


@pytest.fixture
def root(tmp_path):
    generate(tmp_path / "shapes", {"train": 5, "val": 3}, size=96)
    return tmp_path / "shapes"


def config_of(root, **training):
    data = {"root": str(root), "short_sides": [64], "long_side_max": 64, "val_short_side": 64}
    changes = {"data": data, "training": {"batch_size": 2} | training}
    return build_config(merge(load_recipe("shapes"), changes), "test")


@pytest.fixture
def seconds(monkeypatch):
    """Pretends these times: of a step, of an image to validate on, of a checkpoint."""

    def pretend(step, image, save):
        clock = iter(range(10**6))
        monkeypatch.setattr(cost.time, "perf_counter", lambda: next(clock) * step)
        monkeypatch.setattr(cost, "_seconds_per_val_image", lambda *rest: image)
        monkeypatch.setattr(cost, "_seconds_to_save", lambda *rest: save)

    return pretend


def test_minutes_are_those_of_all_steps_evaluations_and_checkpoints(root, seconds):
    seconds(1.0, 10.0, 100.0)
    # 5 images, 2 a step: 2 steps an epoch; 7 epochs, an evaluation of 3 images after 3, 6 and 7; 1 s to start
    found = training_cost(config_of(root, epochs=7, evaluate_every=3), Compute(), seconds=0.0)
    assert found.steps == 14
    assert found.minutes * 60 == pytest.approx(1 + 14 * 1 + 3 * 3 * 10 + 7 * 100)
    seconds(1.0, 10.0, 100.0)
    found = training_cost(config_of(root, epochs=7, evaluate_every=None), Compute(), seconds=0.0)
    assert found.minutes * 60 == pytest.approx(1 + 14 * 1 + 3 * 10 + 7 * 100)


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
