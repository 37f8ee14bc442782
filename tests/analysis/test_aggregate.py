import numpy as np
import pytest

from analysis.aggregate import over_domains


def test_each_domain_has_the_same_weight_whatever_its_seeds():
    assert over_domains([[9.0, 11.0], [20.0, 20.0, 20.0]]).mean == 15.0


def test_the_interval_agrees_with_hand_computation():
    # sd 2 and 4 over three seeds: squared errors 4 / 3 and 16 / 3, each over 2^2; Welch: (20 / 12)^2 / (1/9 + 16/9) * 2
    found = over_domains([[78.0, 80.0, 82.0], [56.0, 60.0, 64.0]])
    assert (found.mean, found.n) == (70.0, 2)
    assert found.error == pytest.approx((20 / 12) ** 0.5)
    assert found.freedom == pytest.approx(2 * (20 / 12) ** 2 / (1 / 9 + 16 / 9))
    assert found.interval == pytest.approx((70 - 4.155, 70 + 4.155), abs=0.001)  # t = 3.22


def test_equal_seeds_have_no_width():
    assert over_domains([[80.0, 80.0], [60.0, 60.0]]).interval == (70.0, 70.0)


def test_the_interval_holds_the_true_mean_in_95_of_100_cases():
    draws = np.random.default_rng(0).normal([[85.0], [88.0]], [[1.0], [3.0]], size=(1000, 2, 3))
    intervals = [over_domains(scores).interval for scores in draws.tolist()]
    assert np.mean([low <= 86.5 <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.02)


def test_one_seed_has_no_spread():
    with pytest.raises(ValueError, match=r"domains with \[1, 3\] seeds"):
        over_domains([[80.0], [1.0, 2.0, 3.0]])
