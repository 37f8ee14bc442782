import math

import numpy as np
import pandas as pd
import pytest

from analysis.statistics import (
    one_seed_difference,
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


def test_p_agrees_with_the_interval_and_with_the_tables():
    # {1, 3}: t = 2 / 1 with one degree of freedom, p = 1 - 2 atan(2) / pi
    found = summarize([1.0, 3.0])
    assert (found.error, found.freedom) == (1.0, 1)
    assert found.p_value == pytest.approx(1 - 2 * math.atan(2) / math.pi)
    edge = summarize([0.0, 3.0, 6.0])  # 3 ± 7.45 holds 0; moved by 4.4525 it ends there
    assert summarize([value + 4.4525 for value in (0.0, 3.0, 6.0)]).p_value == pytest.approx(0.05, abs=1e-4)
    assert edge.p_value > 0.05
    assert summarize([2.0, 2.0]).p_value == 0.0
    assert summarize([0.0, 0.0]).p_value == 1.0
    assert math.isnan(summarize([2.0]).p_value)


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


def trials(aps, first_seed=0):
    """Rows of trials for {arm: APs of consecutive seeds}."""
    rows = [(arm, seed, ap) for arm, of_arm in aps.items() for seed, ap in enumerate(of_arm, start=first_seed)]
    return pd.DataFrame(rows, columns=["arm", "seed", "mask_AP"])


def test_one_seed_has_the_interval_that_other_seeds_give_it():
    one = trials({"a": [50.0], "b": [40.0]}, first_seed=7)
    # differences 10, 12 and 14: sd 2; Student's t for 2 degrees of freedom 4.3027, so 10 ± 4.3027 * 2 * sqrt(4 / 3)
    spread = trials({"a": [20.0, 32.0, 44.0], "b": [10.0, 20.0, 30.0]})
    difference = one_seed_difference(one, "a", "b", "mask_AP", spread)
    assert (difference.mean, difference.n) == (10.0, 1)
    assert difference.interval == pytest.approx((10 - 9.9367, 10 + 9.9367), abs=1e-3)
    # two seeds of the spread: differences 10 and 12, sd sqrt(2), t 12.706, so ± 12.706 * sqrt(2) * sqrt(3 / 2)
    two = one_seed_difference(one, "a", "b", "mask_AP", spread[spread["seed"] < 2])
    assert two.interval == pytest.approx((10 - 22.007, 10 + 22.007), abs=1e-2)


def test_without_common_seeds_the_spread_of_a_difference_comes_from_both_arms():
    one = trials({"a": [50.0], "b": [40.0]})
    spread = pd.concat([trials({"a": [19.0, 20.0, 21.0]}), trials({"b": [9.0, 10.0, 11.0]}, first_seed=5)])
    # each arm sd 1 and n 3: variance 2 * (1 + 1 / 3) = 8 / 3; degrees of freedom (8/3)^2 / (2 * (4/3)^2 / 2) = 4;
    # Student's t for 4 is 2.7764, times sqrt(8 / 3)
    difference = one_seed_difference(one, "a", "b", "mask_AP", spread)
    assert difference.interval == pytest.approx((10 - 4.5339, 10 + 4.5339), abs=1e-3)


def test_one_seed_stays_without_an_interval_where_nothing_tells_its_spread():
    one = trials({"a": [50.0], "b": [40.0]})
    for spread in (None, trials({"a": [1.0, 2.0, 3.0]}), trials({"a": [1.0], "b": [2.0]})):
        assert one_seed_difference(one, "a", "b", "mask_AP", spread).interval is None
    several = trials({"a": [50.0, 51.0], "b": [40.0, 42.0]})  # its own seeds count, not the others'
    own = one_seed_difference(several, "a", "b", "mask_AP", trials({"a": [0.0, 90.0], "b": [90.0, 0.0]}))
    assert own == paired_difference(several, "a", "b", "mask_AP")


@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_of_one_seed_covers_in_95_of_100_draws(paired):
    """Both the mean of three other seeds and the true difference, 3 AP; seeds share a part of 2 AP where paired."""
    rng = np.random.default_rng(0)
    of_others, of_truth, of_own = [], [], []
    for _ in range(2000):
        shared = rng.normal(0, 2 if paired else 0, (4, 1))
        aps = rng.normal((53, 50), (1, 1.5), (4, 2)) + shared
        seeds = [0, 1, 2] if paired else [5, 6, 7]
        spread = pd.concat(
            [trials({"a": aps[1:, 0]}), trials({"b": aps[1:, 1]}, first_seed=seeds[0])], ignore_index=True
        )
        found = one_seed_difference(trials({"a": aps[:1, 0], "b": aps[:1, 1]}), "a", "b", "mask_AP", spread)
        low, high = found.interval
        of_others.append(low <= (aps[1:, 0] - aps[1:, 1]).mean() <= high)
        of_truth.append(low <= 3 <= high)
        again = trials({"a": aps[1:2, 0], "b": aps[1:2, 1]})  # a seed that is one of the spread's
        low, high = one_seed_difference(again, "a", "b", "mask_AP", spread).interval
        of_own.append(low <= 3 <= high)
    assert 0.93 <= np.mean(of_others) <= 0.97
    assert 0.93 <= np.mean(of_truth) <= 0.975  # a little more than 95 %, as the docstring says
    assert np.mean(of_own) >= np.mean(of_truth)


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
