from dataclasses import replace

import pytest

from analysis.comparisons import compare_arms
from analysis.results import read_results
from analysis.study import load_study
from analysis.verdict import gap_in_words, judgments, verdict

APS = {  # neighboring arms differ by the same in every seed, but for rounding
    "box_mask": [11.0, 12.0, 13.0],
    "projection": [30.0, 31.1, 32.0],
    "pairwise": [1.0, 1.1, 1.0],
    "both": [48.5, 49.5, 50.6],
    "full": [59.5, 60.6, 61.5],
}
ORDER = "box as mask < projection only < projection + pairwise < full masks"


def judged(results, study, spread=None):
    return verdict(results, study, compare_arms(results, study, spread=spread), spread=spread)


@pytest.fixture
def judge(tmp_path, write_results, study):
    return lambda changes, **replaced: judged(
        read_results(write_results(tmp_path, APS | changes)), replace(study, **replaced)
    )


def test_an_order_holds_where_every_step_is_told_apart(judge):
    found = judge({})
    assert found.outcome == "holds"
    assert found.text == (
        f"Expected order of mask AP, {ORDER}: holds (12.0, 31.0, 49.5, 60.5; in 3 of 3 seeds): all steps are told "
        "apart (paired over seeds, Holm's correction for six comparisons, given these images). The rest of the "
        "expectation is no order of arms, so no rule judges it."
    )
    assert found.reason.startswith("smallest step full masks vs. projection + pairwise: +11.0 AP (95 % interval")


def test_seeds_that_vary_together_tell_arms_apart_although_the_arms_overlap(judge):
    found = judge({"both": [47.5, 49.5, 51.6], "full": [50.5, 52.6, 54.5]}, expected_orders=(("both", "full"),))
    assert found.outcome == "holds"  # 3.0, 3.1 and 2.9, while both spread over 4 AP


def test_a_step_that_is_not_told_apart_leaves_it_open_and_says_which(judge):
    # seed by seed full is 11, 6 and 1 above: 6 ± 12.4
    found = judge({"both": [48.0, 54.0, 60.0], "full": [59.0, 60.0, 61.0]})
    assert (found.outcome, found.holds) == ("not told apart", None)
    assert "holds for the means (12.0, 31.0, 54.0, 60.0; in 3 of 3 seeds), but too few seeds" in found.text
    assert "full masks vs. projection + pairwise: +6.0 AP (95 % interval -6.4 to +18.4, n = 3, p = 0.17)" in found.text
    assert (
        found.reason == "full masks vs. projection + pairwise: +6.0 AP (95 % interval -6.4 to +18.4, n = 3, p = 0.17)"
    )


def test_what_holm_s_correction_takes_back_is_not_told_apart(judge):
    # 2.0, 2.9 and 3.8: 2.9 ± 2.24, p = 0.031 alone
    pair = {"both": [50.0, 51.0, 52.0], "full": [52.0, 53.9, 55.8]}
    alone = judge(pair, arms=("both", "full"), expected_orders=(("both", "full"),))
    assert alone.outcome == "holds"
    # as the second of two such it still is, as the first of them it needs 0.025
    twice = judge(
        pair | {"projection": [50.0, 51.0, 52.0]},
        arms=("projection", "both", "full"),
        expected_orders=(("both", "full"),),
    )
    assert twice.outcome == "not told apart"
    assert "+0.7 to +5.1, n = 3, p = 0.061)" in twice.text


def test_a_step_told_apart_downwards_fails(judge):
    found = judge({"both": [69.5, 70.6, 71.5]})
    assert found.holds is False
    assert "DOES NOT HOLD (12.0, 31.0, 70.5, 60.5; in 0 of 3 seeds): full masks vs. projection + pairwise: -10.0" in (
        found.text
    )
    close = judge({"both": [58.5, 62.5, 64.5]})
    assert close.outcome == "not told apart"
    assert "does not hold for the means (12.0, 31.0, 61.8, 60.5; in 0 of 3" not in close.text  # seed 0 holds
    assert "does not hold for the means" in close.text
    assert judge({"both": APS["full"]}).outcome == "not told apart"  # equal in every seed


def test_every_order_of_an_expectation_is_judged(tmp_path, write_results, study):
    results = read_results(write_results(tmp_path, APS))
    right, wrong = ("pairwise", "both"), ("both", "projection")
    two = replace(study, expected_orders=(right, wrong), has_words=False)
    found = judged(results, two)
    assert found.holds is False
    assert "pairwise only < projection + pairwise: holds" in found.text
    assert "projection + pairwise < projection only: DOES NOT HOLD" in found.text
    assert "no rule judges it" not in found.text
    each = judgments(results, two, compare_arms(results, two))
    assert [(one.finding, one.outcome) for one in each] == [
        ("pairwise only < projection + pairwise", "holds"),
        ("projection + pairwise < projection only", "does not hold"),
    ]


def test_one_seed_without_a_reference_tells_means_only(judge):
    one = {arm: aps[:1] for arm, aps in APS.items()}
    found = judge(one)
    assert found.outcome == "not told apart"
    assert "holds for the means (11.0, 30.0, 48.5, 59.5; in 1 of 1 seeds)" in found.text
    assert "(one seed has no interval)" in found.text
    assert "full masks vs. projection + pairwise: -5.0 AP (n = 1)" in judge(one | {"both": [64.5]}).text


def test_a_missing_arm_is_named(judge):
    found = judge({"full": [None, None, None]})
    assert (found.outcome, found.reason) == ("no result", "no result for full masks")
    apart = judge({"both": [48.5, None, None], "full": [None, 60.5, 61.5]}, expected_orders=(("both", "full"),))
    assert apart.reason == "full masks vs. projection + pairwise: no common seed"


SOURCE = "one seed; judged by the spread of three seeds in the reference"


@pytest.fixture
def judge_one(tmp_path, write_results, study):
    """Judges seed 0 with changes to it by the spread of the three seeds of `APS` with changes to them."""

    def run(changes, reference=None, **replaced):
        spread = read_results(write_results(tmp_path / "reference", APS | (reference or {})))
        one = {arm: aps[:1] for arm, aps in APS.items()}
        results = read_results(write_results(tmp_path, one | changes))
        return judged(results, replace(study, **replaced), spread)

    return run


def test_one_seed_is_judged_by_the_spread_of_the_reference(judge_one):
    found = judge_one({})
    assert found.outcome == "holds"
    assert (
        f"all steps are told apart ({SOURCE}, Holm's correction for six comparisons, given these images)" in found.text
    )


def test_one_seed_that_is_not_beyond_the_spread_leaves_it_open(judge_one):
    # full - both: 11, 9 and 13 in the reference, sd 2, so ± 4.303 * 2 * sqrt(4 / 3) = 9.94
    spread = {"both": [48.5, 51.5, 48.5], "full": [59.5, 60.5, 61.5]}
    pair = {"arms": ("both", "full"), "expected_orders": (("both", "full"),)}
    found = judge_one({"both": [50.0]}, spread, **pair)
    assert found.outcome == "not told apart"
    assert "full masks vs. projection + pairwise: +9.5 AP (95 % interval -0.4 to +19.4, n = 1, p = 0.054)" in found.text
    assert judge_one({"both": [49.5]}, spread, **pair).outcome == "holds"  # +10.0
    assert judge_one({"both": [69.0]}, spread, **pair).outcome == "not told apart"
    assert judge_one({"both": [69.5]}, spread, **pair).outcome == "does not hold"  # -10.0


def test_an_arm_whose_settings_the_reference_lacks_has_no_interval(tmp_path, judge_one, write_results, study):
    spread = read_results(write_results(tmp_path / "reference", {arm: APS[arm] for arm in ("both", "full")}))
    one = read_results(write_results(tmp_path, {arm: aps[:1] for arm, aps in APS.items()}))
    assert judged(one, study, spread).outcome == "not told apart"
    pair = replace(study, expected_orders=(("both", "full"),))
    assert judged(one, pair, spread).outcome == "holds"
    assert judged(one, pair, spread[spread["seed"] == 0]).outcome == "not told apart"  # one seed there, too


def test_the_weakest_judgment_decides_for_all(judge_one):
    orders = (("pairwise", "both"), ("both", "full"))
    open_ = judge_one({"both": [50.0]}, {"both": [48.5, 51.5, 48.5]}, expected_orders=orders)
    assert open_.outcome == "not told apart"
    assert judge_one({"pairwise": [None]}, expected_orders=orders).outcome == "no result"


def test_without_an_order_the_arms_are_told_by_their_difference(judge):
    changes = {"both": [59.0, 63.0, 61.0], "pairwise": [60.9, 62.0, 62.9]}
    found = judge(changes, expected_orders=(), expectation="about equal.")
    assert found.outcome == "no order expected"
    assert found.text.startswith(
        'The study expects no order of arms, but "about equal". By the difference, paired over'
    )
    assert "above full masks: pairwise only (+1.4, +1.4 to +1.4, p < 0.001)" in found.text
    assert "not told apart from full masks: projection + pairwise (+0.5" in found.text
    assert found.reason == "1 above full masks, 2 below full masks, 1 not told apart from full masks"
    silent = judge({}, expected_orders=(), has_words=False, reference_arm=None)
    assert silent.text == "The study expects no order."


def test_where_the_reference_arm_has_no_result_it_is_named(judge):
    none = {"full": [None, None, None]}
    found = judge(none, expected_orders=(), has_words=False)
    assert found.text.endswith("The reference arm, full masks, has no result.")
    assert judge(none, expected_orders=(), arms=("full",)).text.endswith("There is no other arm than full masks.")


def test_two_arms_without_an_order_have_a_sentence_with_their_paired_difference(tmp_path, write_study):
    aps = {"dice": [60.0, 61.0, 62.0], "redesigned": [57.9, 59.0, 60.1]}
    header = "expectation: about equal\nreference_arm: dice"
    path = write_study(tmp_path, "redesigned_loss", aps, header=header)
    found = judged(read_results(tmp_path / "redesigned_loss.csv"), load_study(path, list(aps)))
    assert found.text == (
        'The study expects no order of arms, but "about equal". projection + pairwise from true masks (Eq. 5) vs. Dice'
        " on true masks: -2.0 AP (95 % interval -2.2 to -1.8, n = 3, p < 0.001), so below Dice on true masks (paired "
        "over seeds, Holm's correction for one comparison, given these images)."
    )


def test_the_smallest_gap_is_the_median_over_comparisons(tmp_path, write_results, study):
    # differences to full: sd 2 and 0, over sqrt(3); 5.6535 is the shift that t with two degrees of freedom finds in
    # 80 % of cases at 5 %, 8.01 at 2.5 %: 6.53 and 0, 9.25 and 0
    aps = {"projection": [50.0, 50.0, 50.0], "both": [53.0, 55.0, 57.0], "full": [60.0, 60.0, 60.0]}
    plain = replace(study, arms=tuple(aps), expected_orders=())
    text = gap_in_words(compare_arms(read_results(write_results(tmp_path, aps)), plain))
    assert text == (
        "Three seeds tell two arms of this study apart in 80 % of cases if their true gap is 3.3 AP (median over its "
        "comparisons); 4.6 AP where it is the first of Holm's two comparisons."
    )
    one = read_results(write_results(tmp_path, {arm: of[:1] for arm, of in aps.items()}))
    assert "is unknown: no difference has an interval" in gap_in_words(compare_arms(one, plain))
