import math

import numpy as np
import pandas as pd
import pytest

from analysis.statistics import (
    above,
    order_holds,
    paired_difference,
    share_of_gap,
    simultaneous_bound,
    summarize,
    summarize_arm,
)


def test_mean_and_standard_deviation_agree_with_hand_computation():
    summary = summarize([2.0, 4.0, 9.0])
    # mean 15 / 3 = 5; squared deviations 9 + 1 + 16 = 26; sd = sqrt(26 / 2)
    assert summary.mean == 5.0
    assert summary.sd == pytest.approx(math.sqrt(13))
    assert summary.n == 3


def test_interval_agrees_with_hand_computation():
    # Student's t of the tables, two-sided 95 %: 12.706 for one degree of freedom, 4.3027 for two.
    # {1, 3}: mean 2, sd sqrt(2), so ± 12.706 * sqrt(2) / sqrt(2)
    assert summarize([1.0, 3.0]).interval == pytest.approx((2 - 12.706, 2 + 12.706), abs=1e-3)
    # {0, 3, 6}: mean 3, sd 3, so ± 4.3027 * 3 / sqrt(3)
    assert summarize([0.0, 3.0, 6.0]).interval == pytest.approx((3 - 7.4525, 3 + 7.4525), abs=1e-3)
    assert summarize([5.0, 5.0, 5.0]).interval == (5.0, 5.0)


def test_the_interval_holds_the_mean_in_95_of_100_draws_of_three_seeds():
    draws = np.random.default_rng(0).normal(50, 2, size=(4000, 3))
    held = [low <= 50 <= high for low, high in (summarize(draw).interval for draw in draws)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)  # 3.5 standard deviations of such a share


def test_one_seed_has_no_interval_and_no_deviation():
    summary = summarize([50.9])
    assert (summary.mean, summary.n, summary.interval) == (50.9, 1, None)
    assert math.isnan(summary.sd)


def test_holes_are_left_out_and_not_counted():
    assert summarize([1.0, float("nan"), 3.0]) == summarize([1.0, 3.0])
    assert summarize([float("nan")]).n == 0
    assert math.isnan(summarize([]).mean)


def test_equal_inputs_give_equal_intervals():
    assert summarize([1.0, 2.0, 5.0, 7.0]) == summarize([1.0, 2.0, 5.0, 7.0])


def test_difference_is_paired_over_the_seeds_that_both_arms_finished():
    nan = float("nan")
    results = pd.DataFrame(
        [("a", 0, 10.0), ("a", 1, 20.0), ("a", 2, nan), ("b", 0, 11.0), ("b", 1, 23.0), ("b", 2, 90.0)],
        columns=["arm", "seed", "mask_AP"],
    )
    # seed 0: -1, seed 1: -3, seed 2: a has no number
    difference = paired_difference(results, "a", "b", "mask_AP")
    assert (difference.mean, difference.n) == (-2.0, 2)
    assert difference.sd == pytest.approx(math.sqrt(2))
    assert summarize_arm(results, "b", "mask_AP").n == 3


def test_difference_to_an_arm_without_any_number_has_no_seeds():
    results = pd.DataFrame(
        [("a", 0, 10.0), ("b", 0, float("nan"))],
        columns=["arm", "seed", "mask_AP"],
    )
    assert paired_difference(results, "a", "b", "mask_AP").n == 0


def test_the_bound_of_further_errors_agrees_with_hand_computation():
    # {3, -4}: sd around 0 sqrt((9 + 16) / 2) = 3.5355; Student's t for 2 degrees of freedom: 4.3027 at 0.975, 9.9248 at
    # 0.995 = 1 - 0.05 / 2 / 5
    assert simultaneous_bound([3.0, -4.0], 1) == pytest.approx(4.3027 * 3.5355, abs=1e-3)
    assert simultaneous_bound([3.0, -4.0], 5) == pytest.approx(9.9248 * 3.5355, abs=1e-3)
    assert simultaneous_bound([2.0, 2.0], 1) == pytest.approx(
        4.3027 * 2, abs=1e-3
    )  # an error that all share counts too
    with pytest.raises(ValueError, match="0 errors and 1 comparisons"):
        simultaneous_bound([], 1)


def test_an_interval_that_ends_at_a_value_holds_it():
    assert above((0.1, 2.0), 0.0)
    assert not above((0.0, 2.0), 0.0)
    assert not above(None, 0.0)


def test_order_needs_a_strict_rise_and_every_number():
    assert order_holds([1.0, 2.0, 3.0])
    assert not order_holds([1.0, 1.0])
    assert not order_holds([1.0, float("nan"), 3.0])


def test_the_share_of_a_gap_keeps_numerator_and_denominator_of_a_seed_together():
    results = pd.DataFrame(
        [
            *[("low", seed, ap) for seed, ap in enumerate((10.0, 20.0, 30.0))],
            *[("arm", seed, ap) for seed, ap in enumerate((15.0, 25.0, float("nan")))],
            *[("high", seed, ap) for seed, ap in enumerate((20.0, 40.0, 50.0))],
        ],
        columns=["arm", "seed", "mask_AP"],
    )
    # seed 0: 5 of 10, seed 1: 5 of 20; seed 2 has a hole. Together 10 of 30; alone 50 % and 25 %
    share = share_of_gap(results, "arm", "low", "high", "mask_AP")
    assert share.mean == pytest.approx(100 / 3)
    assert share.n == 2
    assert share.interval is None  # gap 15 ± 64: two seeds do not tell it from 0
    # seed 2 with a gap of 0: 5 + 5 + 5 of 10 + 20 + 0, and no interval
    flat = results.assign(mask_AP=[10.0, 20.0, 30.0, 15.0, 25.0, 35.0, 20.0, 40.0, 30.0])
    assert share_of_gap(flat, "arm", "low", "high", "mask_AP").interval is None
    assert share_of_gap(flat, "arm", "low", "high", "mask_AP").mean == pytest.approx(50.0)
    one = share_of_gap(results[results["seed"] == 0], "arm", "low", "high", "mask_AP")
    assert (one.mean, one.interval) == (50.0, None)
    assert math.isnan(share_of_gap(results, "arm", "high", "low", "mask_AP").mean)  # no gap to close


def test_the_interval_of_a_share_agrees_with_hand_computation_and_covers():
    def share_of(closed, gap):
        rows = [("low", i, 0.0) for i in range(len(gap))] + [("arm", i, ap) for i, ap in enumerate(closed)]
        results = pd.DataFrame([*rows, *(("high", i, ap) for i, ap in enumerate(gap))], columns=["arm", "seed", "AP"])
        return share_of_gap(results, "arm", "low", "high", "AP")

    # closed {4, 5, 6}, gap {10, 10, 10}: the gap is known, so Student's interval of closed, 5 ± 2.4841, over 10
    assert share_of([4.0, 5.0, 6.0], [10.0, 10.0, 10.0]).interval == pytest.approx((25.159, 74.841), abs=1e-2)
    # closed is half of the gap in every seed: the share is known
    assert share_of([4.0, 5.0, 6.0], [8.0, 10.0, 12.0]).interval == pytest.approx((50.0, 50.0))
    draws = np.random.default_rng(0).normal((3, 10), (1, 1), size=(2000, 3, 2))
    held = [low <= 30 <= high for low, high in (share_of(*draw.T).interval for draw in draws)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.017)  # 3.5 standard deviations
