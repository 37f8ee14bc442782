import math
from dataclasses import replace

import pytest

from analysis.comparisons import OwnPairs, Pair, compare_arms, holm
from analysis.results import read_results

APS = {"projection": [30.0, 31.0], "both": [50.0, 52.0], "full": [60.0, 61.0]}


@pytest.fixture
def results(tmp_path, write_results):
    return read_results(write_results(tmp_path, APS))


@pytest.fixture
def three(study):
    return replace(study, arms=tuple(APS), expected_orders=(("projection", "both", "full"),))


def test_holm_agrees_with_hand_computation():
    # sorted 0.01, 0.02, 0.03, 0.2 times 4, 3, 2, 1: 0.04, 0.06, 0.06 (not below the one before), 0.2
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_leaves_out_what_has_no_p():
    found = holm([float("nan"), 0.01, 0.04])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.02, 0.04])


def test_each_pair_is_compared_once_in_either_direction(results, three):
    compared = compare_arms(results, three, OwnPairs((Pair("full", "projection"), Pair("both", "full"))))
    assert [(found.pair.arm, found.pair.other) for found in compared] == [
        ("both", "projection"),
        ("full", "both"),
        ("projection", "full"),
    ]
    forth, back = compared[Pair("full", "both")], compared[Pair("both", "full")]
    assert (forth.difference.mean, back.difference.mean) == (9.5, -9.5)
    assert back.difference.interval == tuple(-end for end in reversed(forth.difference.interval))
    assert back.p_holm == forth.p_holm


def test_an_arm_without_rows_is_in_no_comparison(results, three):
    compared = compare_arms(results, three, OwnPairs((Pair("both", "absent"),)))
    assert all("absent" not in (found.pair.arm, found.pair.other) for found in compared)


def test_a_metric_of_a_view_is_corrected_together_with_the_others(results, three):
    added = results.assign(**{"AP of star": results["mask_AP"] + [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]})
    pair = Pair("both", "projection", "AP of star")
    compared = compare_arms(results, three, OwnPairs((pair,), added))
    assert len(compared.judged) == 4
    assert compared[pair].difference.mean == 22.0  # 20 + 1 and 21 + 2
    assert compared[Pair("both", "projection")].difference.mean == 20.5


def test_one_seed_has_no_p_and_nothing_is_told_apart(results, three):
    compared = compare_arms(results[results["seed"] == 0], three)
    assert not any(found.told_apart for found in compared)
    assert (compared.judged, compared.seeds, compared.images) == ([], 0, False)
    assert math.isnan(compared.smallest_gap())
