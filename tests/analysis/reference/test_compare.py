import pytest

from analysis.reference.compare import TOLERANCE_AP, compare
from analysis.results import read_results
from tests.analysis.made_up import record_of

REFERENCE = {"box_mask": [12.0], "projection": [30.0], "pairwise": [1.0], "both": [50.0], "full": [60.0]}


@pytest.fixture
def compared(tmp_path, write_results, study):
    """Compares changed results with the reference, without records."""

    def run(changes, reference=REFERENCE):
        ours = read_results(write_results(tmp_path / "ours", REFERENCE | changes))
        theirs = read_results(write_results(tmp_path / "theirs", reference))
        return compare(ours, theirs, study, records={}, reference_records={})

    return run


def verdicts(comparison):
    return {arm.arm: arm.verdict for arm in comparison.arms}


def test_equal_results_are_equal(compared):
    comparison = compared({})
    assert set(verdicts(comparison).values()) == {"equal"}
    assert comparison.holds


def test_a_difference_within_the_tolerance_is_said_and_holds(compared):
    comparison = compared({"both": [50.0 - TOLERANCE_AP]})
    assert verdicts(comparison)["both"] == "within tolerance"
    assert comparison.arms[3].largest_gap == TOLERANCE_AP
    assert comparison.holds


def test_another_metric_that_differs_is_named(tmp_path, write_results, study):
    theirs = read_results(write_results(tmp_path, REFERENCE))
    ours = theirs.copy()
    ours.loc[ours["arm"] == "full", "box_AP"] += 0.01
    full = compare(ours, theirs, study, records={}, reference_records={}).arms[4]
    assert (full.verdict, full.largest_gap) == ("within tolerance", 0.0)
    assert full.detail.endswith("unequal: box_AP")


def test_a_difference_beyond_the_tolerance_fails(compared):
    comparison = compared({"both": [50.0 - TOLERANCE_AP - 0.1]})
    assert verdicts(comparison)["both"] == "differs"
    assert not comparison.holds


def test_an_arm_whose_seeds_spread_in_the_reference_may_move_by_more(compared):
    # standard deviation 2: two seeds of it differ with 2 * sqrt(2), three times that is 8.49
    reference = REFERENCE | {"both": [48.0, 50.0, 52.0]}
    assert verdicts(compared({"both": [48.0, 50.0, 60.4]}, reference))["both"] == "within tolerance"
    comparison = compared({"both": [48.0, 50.0, 60.5]}, reference)
    assert verdicts(comparison)["both"] == "differs"
    assert comparison.arms[3].detail.startswith("largest gap 8.50 mask AP, tolerance 8.5;")
    # full masks, 10 above, are further away than that; projection, 8 below, is not
    comparison = compared({"both": [55.0] * 3, "projection": [56.0]}, reference | {"projection": [42.0]})
    assert [pair.split(" in ")[0] for pair in comparison.close_pairs] == ["projection only < projection + pairwise"]


def test_seeds_are_compared_one_by_one(compared):
    # The means are equal, 50; each seed is 5 off.
    comparison = compared({"both": [45.0, 55.0]}, REFERENCE | {"both": [50.0, 50.0]})
    assert verdicts(comparison)["both"] == "differs"


def test_a_pair_further_apart_than_the_tolerance_must_not_change_places(compared):
    # Both arms agree with the reference within the tolerance, 4, and still change places: 6 apart, 4 sqrt(2) is 5.66
    comparison = compared({"both": [57.9], "full": [57.5]}, REFERENCE | {"both": [54.0]})
    assert set(verdicts(comparison).values()) == {"equal", "within tolerance"}
    assert comparison.order_changes == (
        "projection + pairwise < full masks in the reference (54.0, 60.0), not here (57.9, 57.5)",
    )
    assert not comparison.holds


def test_a_pair_of_the_expected_order_that_the_reference_holds_close_is_not_judged_but_named(compared):
    comparison = compared({"both": [59.0], "full": [58.5]}, REFERENCE | {"both": [57.0]})
    assert comparison.order_changes == ()
    assert comparison.close_pairs == ("projection + pairwise < full masks in the reference (57.0, 60.0)",)
    assert comparison.holds
    assert compared({}).close_pairs == ()


def test_two_arms_at_one_level_outside_the_expected_order_may_change_places(compared):
    comparison = compared({"box_mask": [11.0], "pairwise": [12.0]}, REFERENCE | {"pairwise": [11.0]})
    assert comparison.order_changes == comparison.close_pairs == ()
    assert comparison.holds


def test_a_failed_trial_and_an_arm_that_was_not_run_are_missing(compared, tmp_path, write_results, study):
    comparison = compared({"both": [None]})
    assert verdicts(comparison)["both"] == "missing"
    assert comparison.arms[3].detail == "seed 0: ran out of memory"
    assert not comparison.holds
    ours = read_results(write_results(tmp_path / "few", {"full": [60.0]}))
    theirs = read_results(tmp_path / "theirs" / "loss_terms.csv")
    assert verdicts(compare(ours, theirs, study, records={}, reference_records={}))["both"] == "missing"


def test_only_seeds_that_both_have_are_compared(compared):
    comparison = compared({"both": [50.0, 40.0, 45.0]})
    assert (comparison.arms[3].verdict, comparison.arms[3].seeds) == ("equal", (0,))


def test_other_settings_are_named_and_not_judged(tmp_path, write_results, study):
    ours = read_results(write_results(tmp_path / "ours", {"full": [20.0]}))
    theirs = read_results(write_results(tmp_path / "theirs", {"full": [60.0]}))
    short, long = ({"name": "shapes", "training": {"epochs": epochs}} for epochs in (2, 16))

    def judge(config, digest="a"):
        records = {"full0": record_of(config, data_digest=digest)}
        reference_records = {"full0": record_of(long, data_digest="a")}
        return compare(ours, theirs, study, records=records, reference_records=reference_records)

    comparison = judge(short)
    assert (comparison.arms[0].verdict, comparison.arms[0].detail) == ("other settings", "training.epochs: 16 -> 2")
    assert comparison.holds
    assert judge(long, digest="b").arms[0].detail == "data digest: a -> b"
    # What the recipe is called, where the data lies and a field that is new are no difference.
    assert judge(long | {"name": "mine", "data": {"root": "/elsewhere"}, "new": 1}).arms[0].verdict == "differs"


def test_an_arm_that_failed_on_other_data_is_not_judged(tmp_path, write_results, study):
    ours = read_results(write_results(tmp_path / "ours", {"full": [None]}))
    theirs = read_results(write_results(tmp_path / "theirs", {"full": [60.0]}))
    records, reference_records = ({"full0": record_of({"name": "x"}, data_digest=digest)} for digest in "ab")
    comparison = compare(ours, theirs, study, records=records, reference_records=reference_records)
    assert comparison.arms[0].verdict == "other settings"
    assert comparison.arms[0].detail == "seed 0: ran out of memory; data digest: b -> a"
    assert comparison.holds
