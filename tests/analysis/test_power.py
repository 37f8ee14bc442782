import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from analysis.power import shift_found, smallest_gap


def test_the_shift_agrees_with_published_tables_of_power():
    # Cohen's table for the paired t test: ten pairs find one standard deviation in 80.3 % of cases
    assert shift_found(9, level=0.05, power=0.803) / 10**0.5 == pytest.approx(1.0, abs=1e-3)
    assert shift_found(math.inf, level=0.05, power=0.8) == pytest.approx(1.9600 + 0.8416, abs=1e-3)


def test_three_seeds_find_the_smallest_gap_in_80_of_100_draws():
    gap = smallest_gap(1.65 / 3**0.5, 2)
    assert gap == pytest.approx(5.39, abs=0.01)
    draws = np.random.default_rng(0).normal(gap, 1.65, size=(4000, 3))
    t = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / 3**0.5)
    assert np.mean(np.abs(t) > student_t.ppf(0.975, 2)) == pytest.approx(0.8, abs=0.02)


def test_images_alone_have_the_shift_of_the_normal_distribution_and_add_in_squares():
    of_images = 1.9600 + 0.8416
    assert smallest_gap(0.0, 2, 1.5) == pytest.approx(1.5 * of_images, abs=1e-3)
    both = (smallest_gap(1.0, 2) ** 2 + (1.5 * of_images) ** 2) ** 0.5
    assert smallest_gap(1.0, 2, 1.5) == pytest.approx(both, rel=1e-4)


def test_without_an_error_or_a_freedom_it_is_unknown():
    assert math.isnan(smallest_gap(float("nan"), 2))
    assert math.isnan(smallest_gap(1.0, float("nan")))
    assert smallest_gap(0.0, 2) == 0.0
