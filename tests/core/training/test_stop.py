"""A training that is asked to stop ends at its step, with a checkpoint from which it goes on equal to the bit."""

from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

import pytest

from core.compute.compute import Compute
from core.compute.interrupt import Stopped
from core.config import Config
from core.training.loop import TrainingResult, train
from tests.core.training.tiny_training import comparable, root, tiny

__all__ = ["root"]  # a fixture


def asked_at(*calls: int, signal: int = SIGTERM) -> Callable[[], int]:
    """A stop request that is there when it is asked for the n-th time, for each of these n."""
    asked = 0

    def stop() -> int:
        nonlocal asked
        asked += 1
        return signal if asked in calls else 0

    return stop


def run(config: Config, folder: Path, stop: Callable[[], int], **arguments: Any) -> TrainingResult:
    return train(config, 0, Compute(stop=stop), folder=folder, **arguments)


def test_stopped_anywhere_and_resumed_is_equal_to_the_bit(root: Path, tmp_path: Path) -> None:
    # Two epochs of three steps, each with an evaluation of two batches: asked are 1 2 3, 4 5 (evaluation); 6 7 8, 9 10.
    config = tiny(root, training={"epochs": 2, "evaluate_every": 1, "batch_size": 1, "accumulation": 2},
                  inference={"max_detections": 3})  # fmt: skip
    whole = run(config, tmp_path / "whole", asked_at())
    reported: list[int] = []

    def report(numbers: dict[str, Any]) -> None:
        reported.append(numbers["epoch"])

    for call, done in ((2, "1 of 6 steps"), (3, "the evaluation of 0 of 2 images"), (4, "4 of 6 steps")):
        with pytest.raises(Stopped, match=rf"^stopped by SIGINT after {done}; the same command goes on there, from "):
            run(config, tmp_path / "stopped", asked_at(call, signal=SIGINT), on_epoch=report)
    assert reported == [1]
    resumed = run(config, tmp_path / "stopped", asked_at(), on_epoch=report)
    assert reported == [1, 1, 2]
    assert comparable(resumed) == comparable(whole)
    assert 0 < resumed.curves[0]["seconds"] < resumed.curves[1]["seconds"] == resumed.seconds


def test_the_training_of_a_teacher_stops_too(root: Path, tmp_path: Path) -> None:
    config = tiny(root, supervision={"pseudo_masks": "teacher"}, training={"epochs": 1})
    with pytest.raises(Stopped, match=r"by SIGTERM after 1 of 3 steps; .*/teacher/checkpoint\.pt") as stopped:
        run(config, tmp_path, asked_at(2))
    assert stopped.value.signal_number == SIGTERM
    assert (tmp_path / "teacher" / "checkpoint.pt").exists()
