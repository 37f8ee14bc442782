"""Losses that are not finite: found before the backward pass, or a step later and before anything is written."""

from dataclasses import replace
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest
import torch

from core.compute.compute import Compute
from core.compute.interrupt import Stopped
from core.datasets.sources.shapes import generate
from core.losses.criterion import Losses, criterion
from core.training.finite import FiniteChecks
from core.training.loop import train
from tests.core.training.tiny_training import tiny


def losses(box: float) -> Losses:
    terms = {"class": torch.tensor(0.5), "box": torch.tensor(box)}
    return Losses(terms, terms, pairwise_warmup=1.0, edges_kept=float("nan"))


def test_at_once_the_term_and_the_images_are_named_before_the_backward_pass() -> None:
    checks = FiniteChecks(later=False)
    checks.add(losses(1.0), 0, [7])
    with pytest.raises(FloatingPointError, match=r"^step 1: loss box is not finite, images \[8, 9\]$"):
        checks.add(losses(float("inf")), 1, [8, 9])


def test_a_step_later_the_step_before_is_named() -> None:
    checks = FiniteChecks(later=True)
    checks.add(losses(float("nan")), 4, [7])
    checks.add(losses(1.0), 4, [8])  # another batch of the same step
    with pytest.raises(FloatingPointError, match=r"^step 4: loss box is not finite, images \[7\]$"):
        checks.add(losses(1.0), 5, [9])


def ended_by(error: BaseException | None) -> None:
    """A broken step, after which the training ends."""
    with FiniteChecks(later=True) as checks:
        checks.add(losses(float("nan")), 4, [7])
        if error is not None:
            raise error


@pytest.mark.parametrize("ending", [None, Stopped("stopped", SIGTERM)])
def test_the_last_step_is_checked_at_the_end(ending: BaseException | None) -> None:
    with pytest.raises(FloatingPointError, match="step 4"):
        ended_by(ending)


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(OSError, match="disk"):
        ended_by(OSError("disk"))


def test_many_finite_steps_are_kept_no_longer_than_one_step() -> None:
    with FiniteChecks(later=True) as checks:
        for step in range(5):
            checks.add(losses(1.0), step, [step])
            assert [each.step for each in checks._waiting] == [step]


@pytest.mark.parametrize("stops", [False, True], ids=["the epoch ends", "the training is stopped"])
def test_weights_after_a_broken_step_are_never_written(
    stops: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(tmp_path / "shapes", {"train": 4, "val": 1}, seed=3, size=96)
    config = tiny(tmp_path / "shapes", training={"epochs": 1, "batch_size": 2})  # two steps, of which the last breaks
    done = []

    def breaking(*arguments: Any, step: int, **rest: Any) -> Losses:
        done.append(step)
        found = criterion(*arguments, step=step, **rest)
        if step == (0 if stops else 1):
            return replace(found, weighted={name: value * float("nan") for name, value in found.weighted.items()})
        return found

    monkeypatch.setattr("core.training.step.criterion", breaking)
    monkeypatch.setattr("core.training.epoch.FiniteChecks", _later)
    compute = Compute(stop=lambda: SIGTERM if stops and done else 0)
    with pytest.raises(FloatingPointError, match=f"step {0 if stops else 1}: loss class, box"):
        train(config, 0, compute, folder=tmp_path / "run")
    assert len(done) == (1 if stops else 2)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def _later(**_: bool) -> FiniteChecks:
    return FiniteChecks(later=True)  # as on a GPU
