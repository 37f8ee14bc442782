import numpy as np
import pytest

from analysis.aggregate import bootstrap_interval, interquartile_mean, over_domains


def test_the_interquartile_mean_agrees_with_hand_computation():
    even = np.ones(8)
    assert interquartile_mean(np.array([8.0, 1, 2, 3, 4, 5, 6, 100]), even) == 4.5  # of 3, 4, 5, 6
    # six values: a quarter is one and a half of them, so 0.5 * 2 + 3 + 4 + 0.5 * 5 over 3
    assert interquartile_mean(np.arange(1.0, 7.0), np.ones(6)) == pytest.approx((0.5 * 2 + 3 + 4 + 0.5 * 5) / 3)


def test_each_domain_has_the_same_weight_whatever_its_seeds():
    # weights 1/2 for the one seed, 1/6 for each of three: of the middle half, 10 has 1/4 and 20, the next, 1/4
    assert over_domains([[10.0], [20.0, 20.0, 20.0]]) == pytest.approx(15.0)


def test_the_interval_holds_the_mean_and_equal_seeds_have_none_of_it():
    scores = [[80.0, 90.0, 85.0], [70.0, 71.0, 69.0]]
    low, high = bootstrap_interval(scores)
    assert low < over_domains(scores) < high
    assert low >= 70.0
    assert (low, high) == bootstrap_interval(scores)
    assert bootstrap_interval([[80.0, 80.0], [60.0, 60.0]]) == (70.0, 70.0)


def test_seeds_are_drawn_within_their_domain_only():
    # one constant domain in the middle: draws across domains would spread much further
    low, high = bootstrap_interval([[50.0, 50.0], [49.0, 51.0]])
    assert 49.0 <= low <= high <= 51.0
    assert high - low <= 1.0


def test_one_seed_has_no_spread():
    with pytest.raises(ValueError, match=r"domains with \[1, 3\] seeds"):
        bootstrap_interval([[80.0], [1.0, 2.0, 3.0]])
