"""Time left, by hand."""

import pytest

from core.training.pace import EVALUATION_TIME, RECENT, EpochTime, Pace, duration


def test_time_left_is_that_of_the_images_and_of_the_evaluations_to_come() -> None:
    pace = Pace(num_validation_images=10)
    assert pace.seconds_left(100, 1) is None
    pace.add(EpochTime(images=20, training=4.0, evaluation=None))  # 0.2 s an image
    assert pace.seconds_left(100, 0) == pytest.approx(20)
    assert pace.seconds_left(100, 2) == pytest.approx(20 + 2 * 10 * 0.2 * EVALUATION_TIME)
    pace.add(EpochTime(images=20, training=2.0, evaluation=5.0))  # 0.15 s an image in both
    assert pace.seconds_left(100, 2) == pytest.approx(15 + 2 * 5)


def test_only_the_last_epochs_count_and_those_that_trained_nothing_do_not() -> None:
    pace = Pace(num_validation_images=10)
    for seconds in [100.0] + [1.0] * RECENT:
        pace.add(EpochTime(images=10, training=seconds, evaluation=None))
    pace.add(EpochTime(images=0, training=0.1, evaluation=3.0))  # resumed in its evaluation
    assert pace.seconds_left(50, 1) == pytest.approx(5 + 3)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.4, "5 s"), (61, "1 min"), (3540, "59 min"), (3700, "1 h 2 min"), (7200, "2 h 0 min")]
)
def test_a_duration_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
