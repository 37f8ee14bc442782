"""What a search draws is the same each time, and which trials it stops is a matter of their evaluations."""

from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from experiments.parallel.tuning import EarlyStopping, draw
from experiments.search.file import Distribution, Halving

SPACE = {
    "loss.color_threshold": Distribution(uniform=(0.1, 0.6)),
    "training.learning_rate": Distribution(loguniform=(1e-4, 1e-1)),
    "training.batch_size": Distribution(choice=[4, 8]),
}


def test_the_same_seed_draws_the_same_points_whatever_their_number() -> None:
    points = draw(SPACE, 40, seed=3)
    assert draw(SPACE, 10, seed=3) == points[:10]
    assert draw(SPACE, 10, seed=4) != points[:10]
    assert list(points[0]) == list(SPACE)


def test_points_are_in_the_space_and_spread_as_their_distribution_says() -> None:
    points = draw(SPACE, 300, seed=0)
    thresholds, rates, sizes = ([point[name] for point in points] for name in SPACE)
    assert all(0.1 <= value <= 0.6 for value in thresholds)
    assert all(1e-4 <= value <= 1e-1 for value in rates)
    assert set(sizes) == {4, 8}
    # half of 300: 150 +- 3 x 8.7
    assert 124 < sum(value < 0.35 for value in thresholds) < 176
    assert 124 < sum(value < 10**-2.5 for value in rates) < 176
    assert all(float(f"{value:.6g}") == value for value in [*thresholds, *rates])


def stops(stopping: EarlyStopping, trial: str, epoch: int, value: float | None, epochs: int = 9) -> bool:
    result = {"epoch": epoch, "epochs": epochs} | ({} if value is None else {"mask_AP": value})
    decision = stopping.on_trial_result(None, SimpleNamespace(trial_id=trial), result)
    return decision == TrialScheduler.STOP


@pytest.fixture
def stopping() -> EarlyStopping:
    made = EarlyStopping(Halving(first_epoch=2, reduction_factor=2), "mask_AP")
    for trial in "abcd":
        made.on_trial_add(None, SimpleNamespace(trial_id=trial))
    return made


def test_the_better_half_of_those_that_came_so_far_goes_on(stopping: EarlyStopping) -> None:
    assert not stops(stopping, "a", 1, 0.0)  # before the first epoch that is judged
    assert [
        stops(stopping, trial, 2, value) for trial, value in (("a", 20.0), ("b", 10.0), ("c", 30.0), ("d", 19.0))
    ] == [
        False,  # nobody to compare with
        True,
        False,
        True,  # the median of 20, 10 and 30 is 20
    ]


def test_epochs_without_an_evaluation_and_the_last_one_stop_nobody(stopping: EarlyStopping) -> None:
    assert not stops(stopping, "a", 2, 20.0)
    assert not stops(stopping, "b", 2, None)
    assert not stops(stopping, "b", 9, 1.0)
