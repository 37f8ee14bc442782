from dataclasses import replace

import pytest

from analysis.edge_purity import read_edge_purity
from analysis.results import read_results
from analysis.study import load_study
from analysis.verdict import verdict

APS = {
    "box_mask": [11.0, 13.0],
    "projection": [30.0, 32.0],
    "pairwise": [1.0, 1.0],
    "both": [48.0, 51.0],
    "full": [60.0, 61.0],
}


@pytest.fixture
def judge(tmp_path, write_results, study):
    return lambda changes: verdict(read_results(write_results(tmp_path, APS | changes)), study)


def test_an_order_holds_where_the_intervals_of_neighbors_do_not_overlap(judge):
    found = judge({})
    assert found.holds is True
    assert found.text == (
        "Expected order of mask AP, box as mask < projection only < projection + pairwise < full masks: holds, and the "
        "95 % intervals do not overlap (12.0, 31.0, 49.5, 60.5; in 2 of 2 seeds). The part in words is not judged."
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
    results.loc[(results["arm"] == "full") & (results["seed"] == 0), "mask_AP"] = 31.0  # touches the interval below
    assert verdict(results, replace(study, expected_orders=(right, open_))).holds is None
    assert verdict(results, replace(study, expected_orders=(right,))).holds is True


def test_overlapping_intervals_leave_it_open_and_the_paired_difference_is_said(judge):
    # Two seeds' interval spans both: 48 to 60 and 59 to 61 overlap. Seed by seed full is 11 and 1 above.
    found = judge({"both": [48.0, 60.0], "full": [59.0, 61.0]})
    assert found.holds is None
    assert "holds in the means (12.0, 31.0, 54.0, 60.0; in 2 of 2 seeds), but intervals overlap" in found.text
    assert "full masks is +6.0 AP (95 % interval +1.0 to +11.0, n = 2) against projection + pairwise" in found.text


def test_means_in_another_order_do_not_hold(judge):
    found = judge({"both": [70.0, 61.0]})
    assert found.holds is False
    assert "DOES NOT HOLD (12.0, 31.0, 65.5, 60.5; in 0 of 2 seeds): full masks is -5.0 AP" in found.text


def test_one_seed_tells_means_only(judge):
    one = {arm: aps[:1] for arm, aps in APS.items()}
    found = judge(one)
    assert found.holds is None
    assert "cannot be judged with one seed; in the means it holds" in found.text
    assert "does not hold, full masks is -5.0 AP (n = 1)" in judge(one | {"both": [65.0]}).text


def test_a_missing_arm_is_named(judge):
    found = judge({"full": [None, None]})
    assert (found.holds, "no result for full masks" in found.text) == (None, True)


def test_without_an_order_the_arms_are_told_by_their_paired_difference(tmp_path, write_results, study):
    results = read_results(write_results(tmp_path, APS | {"both": [59.0, 63.0], "pairwise": [61.0, 63.0]}))
    found = verdict(results, replace(study, expected_orders=()))
    assert found.holds is None
    assert found.text.startswith("The study expects no order; the part in words is not judged. By the 95 % interval")
    assert "above full masks: pairwise only (+1.5, +1.0 to +2.0)" in found.text
    assert "not told apart from full masks: projection + pairwise (+0.5, -1.0 to +2.0)" in found.text
    silent = replace(study, expected_orders=(), has_words=False, reference_arm=None)
    assert verdict(results, silent).text == "The study expects no order."


def test_two_arms_without_an_order_have_a_sentence_with_their_paired_difference(tmp_path, write_study):
    aps = {"dice": [60.0, 61.0], "redesigned": [57.0, 60.0]}
    header = "expectation: about equal\nreference_arm: dice"
    path = write_study(tmp_path, "redesigned_loss", aps, header=header)
    found = verdict(read_results(tmp_path / "redesigned_loss.csv"), load_study(path, list(aps)))
    assert found.text == (
        "The study expects no order; the part in words is not judged. projection + pairwise from true masks (Eq. 5) is "
        "-2.0 AP (95 % interval -3.0 to -1.0, n = 2) against Dice on true masks: by the interval below."
    )


TAUS = ("color_threshold=0", "color_threshold=0.1", "color_threshold=0.3")


@pytest.fixture
def judge_tau(tmp_path, write_study):
    def run(*aps, edge_purity=None):
        aps = dict(zip(TAUS, aps, strict=True))
        path = write_study(tmp_path, "color_threshold", aps, header="expectation: 0 is the worst, 0.1 the best")
        return verdict(read_results(tmp_path / "color_threshold.csv"), load_study(path, TAUS), edge_purity)

    return run


def test_tau_zero_is_the_worst_or_not_and_by_how_much(judge_tau):
    found = judge_tau([40.0, 41.0], [50.0, 52.0], [48.0, 49.0])
    assert found.holds is True
    assert "It is, -8.0 AP (95 % interval -8.0 to -8.0, n = 2) against the next worst, τ = 0.3" in found.text
    assert "40.5 at τ = 0, 51.0 at τ = 0.1, 48.5 at τ = 0.3; best is τ = 0.1" in found.text
    assert found.text.endswith("What else the expectation says in words is not judged.")
    assert judge_tau([40.0, 49.0], [50.0, 52.0], [48.0, 49.0]).holds is None  # intervals touch
    assert judge_tau([40.0], [50.0], [48.0]).holds is None  # one seed


def test_where_tau_zero_does_no_harm_the_purity_of_the_edges_is_given_as_a_reason(
    tmp_path, judge_tau, write_edge_purity
):
    aps = [50.0, 51.0], [50.0, 52.0], [48.0, 49.0]
    found = judge_tau(*aps)
    assert found.holds is False
    assert "It is NOT: τ = 0 is +2.0 AP" in found.text
    assert "was not measured" in found.text
    measured = read_edge_purity(write_edge_purity(tmp_path / "purity", {0.0: (1.0, 0.975), 0.3: (0.5, 0.99)}))
    assert "at τ = 0 97.5 % of the edges" in judge_tau(*aps, edge_purity=measured).text
