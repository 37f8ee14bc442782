import pytest

from core.config import TrainingConfig
from core.training.effective_batch import describe_schedule, effective_batch, scale_to_batch

STATED = TrainingConfig(
    steps=90_000, learning_rate=0.01, warmup_steps=1000, batch_size=2, accumulation=1, schedule_batch_size=16
)


def with_batch(**changes: int) -> TrainingConfig:
    return STATED.model_copy(update=changes)


def test_the_batch_of_the_recipe_changes_nothing() -> None:
    assert scale_to_batch(STATED, num_workers=8) is STATED
    assert scale_to_batch(with_batch(accumulation=8), num_workers=1).learning_rate == 0.01


@pytest.mark.parametrize(("changes", "num_workers"), [({}, 2), ({"accumulation": 2}, 1), ({"batch_size": 4}, 1)])
def test_a_quarter_of_the_batch_takes_four_times_the_steps_at_a_quarter_of_the_rate(
    changes: dict[str, int], num_workers: int
) -> None:
    scaled = scale_to_batch(with_batch(**changes), num_workers)
    assert (scaled.steps, scaled.learning_rate, scaled.warmup_steps) == (360_000, 0.0025, 4000)
    assert scaled.drops == STATED.drops  # shares of the schedule


def test_as_many_samples_are_seen_whatever_the_batch() -> None:
    for accumulation, num_workers in ((1, 1), (3, 1), (1, 8), (4, 4), (1, 64)):
        training = with_batch(accumulation=accumulation)
        scaled = scale_to_batch(training, num_workers)
        assert scaled.steps * effective_batch(training, num_workers) == pytest.approx(1_440_000, rel=1e-4)


def test_epochs_stay_and_a_recipe_without_a_stated_batch_is_not_scaled() -> None:
    in_epochs = with_batch(steps=None, epochs=12)
    assert scale_to_batch(in_epochs, num_workers=1).epochs == 12
    assert scale_to_batch(in_epochs, num_workers=1).learning_rate == 0.00125
    unstated = with_batch(schedule_batch_size=None)
    assert scale_to_batch(unstated, num_workers=4) is unstated


def test_the_line_at_the_start_names_the_batch_the_schedule_and_the_samples() -> None:
    scaled = scale_to_batch(with_batch(accumulation=2), num_workers=2)
    line = describe_schedule(scaled, 2, scaled.steps, 20_000)
    assert line.startswith(
        "2 images x 2 accumulated x 2 workers = 8 images per step (the recipe's schedule is for 16): "
    )
    assert "180000 steps, learning rate 0.005, warm-up 2000 steps, pairwise warm-up 20000 steps" in line
    assert line.endswith("1440000 samples seen")


def test_the_warm_up_of_one_cycle_is_a_share_of_the_schedule() -> None:
    line = describe_schedule(STATED.model_copy(update={"schedule": "one_cycle", "warmup_share": 0.15}), 8, 2000, 0)
    assert ", warm-up 300 steps, " in line
