from dataclasses import replace

import pytest

from analysis.results import read_results
from analysis.statistics import summarize
from analysis.study import load_study
from analysis.verdict import verdict

APS = {
    "box_mask": [11.0, 12.0, 13.0],  # Student's t for 2 degrees of freedom is 4.303: ± 4.303 / sqrt(3) = 2.48
    "projection": [30.0, 31.0, 32.0],
    "pairwise": [1.0, 1.0, 1.0],
    "both": [48.5, 49.5, 50.5],
    "full": [59.5, 60.5, 61.5],
}


@pytest.fixture
def judge(tmp_path, write_results, study):
    return lambda changes: verdict(read_results(write_results(tmp_path, APS | changes)), study)


def test_an_order_holds_where_the_intervals_of_neighbors_do_not_overlap(judge):
    found = judge({})
    assert found.holds is True
    assert found.text == (
        "Expected order of mask AP, box as mask < projection only < projection + pairwise < full masks: holds, and the "
        "95 % intervals do not overlap (12.0, 31.0, 49.5, 60.5; in 3 of 3 seeds). The rest of the expectation is not "
        "judged."
    )


def test_every_order_of_an_expectation_is_judged(tmp_path, write_results, study):
    results = read_results(write_results(tmp_path, APS))
    right, wrong, open_ = ("pairwise", "both"), ("both", "projection"), ("projection", "full")
    two = verdict(results, replace(study, expected_orders=(right, wrong), has_words=False))
    assert two.holds is False
    assert two.text.count("Expected order of mask AP") == 2
    assert "pairwise only < projection + pairwise: holds" in two.text
    assert "projection + pairwise < projection only: DOES NOT HOLD" in two.text
    assert "in words" not in two.text
    results.loc[(results["arm"] == "full") & (results["seed"] == 0), "mask_AP"] = 31.0  # 51 ± 43
    assert verdict(results, replace(study, expected_orders=(right, open_))).holds is None
    assert verdict(results, replace(study, expected_orders=(right,))).holds is True


def test_overlapping_intervals_leave_it_open_and_the_paired_difference_is_said(judge):
    # 54 ± 14.9 and 60 ± 2.5 overlap. Seed by seed full is 11, 6 and 1 above: 6 ± 12.4
    found = judge({"both": [48.0, 54.0, 60.0], "full": [59.0, 60.0, 61.0]})
    assert found.holds is None
    assert "holds for the means (12.0, 31.0, 54.0, 60.0; in 3 of 3 seeds), but the intervals overlap" in found.text
    assert "full masks vs. projection + pairwise: +6.0 AP (95 % interval -6.4 to +18.4, n = 3)" in found.text


def test_means_in_another_order_do_not_hold_where_their_intervals_are_apart(judge):
    found = judge({"both": [69.5, 70.5, 71.5]})
    assert found.holds is False
    assert (
        "DOES NOT HOLD (12.0, 31.0, 70.5, 60.5; in 0 of 3 seeds): full masks vs. projection + pairwise: -10.0 AP"
        in found.text
    )
    close = judge({"both": [61.5, 62.5, 63.5]})  # 60.0 to 65.0, and full 58.0 to 63.0
    assert close.holds is None
    assert (
        "does not hold for the means (12.0, 31.0, 62.5, 60.5; in 0 of 3 seeds), but the intervals overlap" in close.text
    )
    assert judge({"both": [60.5, 60.5, 60.5]}).holds is None  # equal means


def test_intervals_that_just_touch_are_not_apart(judge):
    start = summarize(APS["full"]).interval[0]
    assert judge({"both": [start] * 3}).outcome == "undecided"
    assert judge({"both": [start - 1e-6] * 3}).outcome == "holds"
    end = summarize(APS["full"]).interval[1]
    assert judge({"both": [end] * 3}).outcome == "undecided"
    assert judge({"both": [end + 1e-6] * 3}).outcome == "does not hold"


def test_one_seed_without_a_reference_tells_means_only(judge):
    one = {arm: aps[:1] for arm, aps in APS.items()}
    found = judge(one)
    assert (found.holds, found.outcome) == (None, "not judged")
    assert (
        "cannot be judged from one seed (11.0, 30.0, 48.5, 59.5; in 1 of 1 seeds); for the means it holds" in found.text
    )
    assert "does not hold: full masks vs. projection + pairwise: -5.0 AP (n = 1)" in judge(one | {"both": [64.5]}).text


def test_a_missing_arm_is_named(judge):
    found = judge({"full": [None, None, None]})
    assert (found.outcome, "no result for full masks" in found.text) == ("not judged", True)


SOURCE = "one seed; judged by the spread of three seeds in the reference"


@pytest.fixture
def judge_one(tmp_path, write_results, study):
    """Judges seed 0 with changes to it by the spread of the three seeds of `APS` with changes to them."""

    def run(changes, reference=None, **replaced):
        spread = read_results(write_results(tmp_path / "reference", APS | (reference or {})))
        one = {arm: aps[:1] for arm, aps in APS.items()}
        results = read_results(write_results(tmp_path, one | changes))
        return verdict(results, replace(study, **replaced), spread=spread)

    return run


def test_one_seed_is_judged_by_the_spread_of_the_reference(judge_one):
    found = judge_one({})  # all differences of the reference are the same in every seed
    assert found.outcome == "holds"
    assert found.text == (
        "Expected order of mask AP, box as mask < projection only < projection + pairwise < full masks: holds "
        f"(11.0, 30.0, 48.5, 59.5; {SOURCE}). The rest of the expectation is not judged."
    )


def test_one_seed_that_is_not_beyond_the_spread_leaves_it_open(judge_one):
    # full - both: 11, 9 and 13 in the reference, sd 2, so ± 4.303 * 2 * sqrt(4 / 3) = 9.94
    spread = {"both": [48.5, 51.5, 48.5]}
    found = judge_one({"both": [50.0]}, spread)
    assert found.outcome == "undecided"
    assert (
        f"holds for the means (11.0, 30.0, 50.0, 59.5; {SOURCE}), but differences are within that spread" in found.text
    )
    assert "full masks vs. projection + pairwise: +9.5 AP (95 % interval -0.4 to +19.4, n = 1)" in found.text
    assert judge_one({"both": [49.5]}, spread).outcome == "holds"  # +10.0
    assert judge_one({"both": [69.0]}, spread).outcome == "undecided"
    assert "does not hold for the means (11.0, 30.0, 69.0, 59.5" in judge_one({"both": [69.0]}, spread).text
    wrong = judge_one({"both": [69.5]}, spread)  # -10.0
    assert wrong.outcome == "does not hold"
    assert (
        f"DOES NOT HOLD (11.0, 30.0, 69.5, 59.5; {SOURCE}): full masks vs. projection + pairwise: -10.0 AP"
        in wrong.text
    )


def test_an_arm_whose_settings_the_reference_lacks_is_not_judged(tmp_path, judge_one, write_results, study):
    spread = read_results(write_results(tmp_path / "reference", {arm: APS[arm] for arm in ("both", "full")}))
    one = read_results(write_results(tmp_path, {arm: aps[:1] for arm, aps in APS.items()}))
    assert verdict(one, study, spread=spread).outcome == "not judged"
    pair = replace(study, expected_orders=(("both", "full"),))
    assert verdict(one, pair, spread=spread).outcome == "holds"
    assert verdict(one, pair, spread=spread[spread["seed"] == 0]).outcome == "not judged"  # one seed there, too


def test_differences_of_one_seed_are_told_by_the_spread_too(judge_one):
    found = judge_one({"both": [59.4]}, {"both": [48.5, 51.5, 48.5]}, expected_orders=())
    assert found.outcome == "no order expected"
    assert f"By the 95 % interval of the paired difference ({SOURCE}), below full masks: box as mask" in found.text
    assert "not distinguishable from full masks: projection + pairwise (-0.1, -10.0 to +9.8)" in found.text


def test_the_weakest_judgment_decides_for_all(judge_one, judge):
    orders = (("pairwise", "both"), ("both", "full"))
    assert judge_one({"both": [50.0]}, {"both": [48.5, 51.5, 48.5]}, expected_orders=orders).outcome == "undecided"
    assert judge_one({"pairwise": [None]}, expected_orders=orders).outcome == "not judged"


def test_without_an_order_the_arms_are_told_by_their_paired_difference(tmp_path, write_results, study):
    results = read_results(write_results(tmp_path, APS | {"both": [59.0, 63.0, 61.0], "pairwise": [60.9, 62.0, 63.1]}))
    found = verdict(results, replace(study, expected_orders=()))
    assert found.holds is None
    assert found.text.startswith("The study expects no order; other expectations are not judged. By the 95 % interval")
    assert "above full masks: pairwise only (+1.5, +1.3 to +1.7)" in found.text
    assert "not distinguishable from full masks: projection + pairwise (+0.5, -3.8 to +4.8)" in found.text
    silent = replace(study, expected_orders=(), has_words=False, reference_arm=None)
    assert verdict(results, silent).text == "The study expects no order."


def test_where_the_reference_arm_has_no_result_it_is_named(tmp_path, write_results, study):
    open_ = replace(study, expected_orders=(), has_words=False)
    results = read_results(write_results(tmp_path, APS | {"full": [None, None, None]}))
    assert verdict(results, open_).text.endswith("The reference arm, full masks, has no result.")
    assert verdict(results, replace(open_, arms=("full",))).text.endswith("There is no other arm than full masks.")


def test_two_arms_without_an_order_have_a_sentence_with_their_paired_difference(tmp_path, write_study):
    aps = {"dice": [60.0, 61.0, 62.0], "redesigned": [57.9, 59.0, 60.1]}
    header = "expectation: about equal\nreference_arm: dice"
    path = write_study(tmp_path, "redesigned_loss", aps, header=header)
    found = verdict(read_results(tmp_path / "redesigned_loss.csv"), load_study(path, list(aps)))
    assert found.text == (
        "The study expects no order; other expectations are not judged. projection + pairwise from true masks (Eq. 5) "
        "vs. Dice on true masks: -2.0 AP (95 % interval -2.2 to -1.8, n = 3), so below Dice on true masks."
    )
