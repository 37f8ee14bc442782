"""Steps, epochs and evaluations of a training, by hand."""

from core.config import Config
from core.config.file import build_config
from core.training.schedule import Schedule


def config(**training: object) -> Config:
    return build_config({"training": training, "loss": {"pairwise_warmup": 0.5}}, "test")


def test_a_length_in_epochs() -> None:
    stated = config(steps=None, epochs=5, batch_size=2, accumulation=2, evaluate_every=2)
    schedule = Schedule.of(stated, num_images=25, num_workers=2)
    assert (schedule.images_per_step, schedule.steps_per_epoch) == (8, 3)
    assert (schedule.steps, schedule.epochs, schedule.pairwise_warmup_steps) == (15, 5, 8)  # 7.5: to the even
    assert [epoch for epoch in range(1, 6) if schedule.evaluates(epoch)] == [2, 4, 5]


def test_a_length_in_steps_is_scaled_and_cuts_the_last_epoch_short() -> None:
    stated = config(steps=10, batch_size=8, schedule_batch_size=16)
    schedule = Schedule.of(stated, num_images=24, num_workers=1)
    assert (schedule.steps, schedule.steps_per_epoch, schedule.epochs) == (20, 3, 7)
    assert [schedule.steps_until(epoch) for epoch in (0, 6, 7)] == [0, 18, 20]
    assert [epoch for epoch in range(1, 8) if schedule.evaluates(epoch)] == [7]
    assert schedule.config.training.learning_rate == stated.training.learning_rate / 2
