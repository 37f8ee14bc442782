import math
from pathlib import Path

import pytest

from analysis.reference.compare import compare
from analysis.reference.cpu_noise import CpuNoise
from analysis.reference.trials import StudyReference, read_reference, trials_of
from analysis.results import read_records, read_results
from tests.analysis.made_up import record_of

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "reference/shapes"
REFERENCE = {
    "box_mask": [12.0, 12.4, 11.6],
    "projection": [30.0, 30.5, 29.5],
    "pairwise": [0.0, 0.0, 0.0],
    "both": [50.0, 50.5, 49.5],
    "full": [60.0, 60.5, 59.5],
}
SEED_0 = {arm: aps[:1] for arm, aps in REFERENCE.items()}
ASSUMED = CpuNoise((), (), comparisons=5)  # 4 AP at 50 AP; at 60 AP 4 * sqrt(60 * 40) / 50 = 3.92


@pytest.fixture
def compared(tmp_path, write_results, study):
    """Compares seed 0 with changes to it with the reference, without records."""

    def run(changes, reference=REFERENCE, noise=ASSUMED):
        ours = read_results(write_results(tmp_path / "ours", SEED_0 | changes))
        theirs = read_results(write_results(tmp_path / "theirs", reference))
        found = StudyReference(tmp_path, theirs, trials_of(theirs, {}))
        return compare(ours, {}, study, found, noise)

    return run


def verdicts(comparison):
    return {arm.arm: arm.verdict for arm in comparison.arms}


def test_equal_results_are_equal(compared):
    comparison = compared({})
    assert set(verdicts(comparison).values()) == {"equal"}
    assert (comparison.holds, comparison.judged) == (True, True)


def test_a_difference_within_the_tolerance_is_said_and_holds(compared):
    comparison = compared({"both": [46.0]})
    assert verdicts(comparison)["both"] == "within tolerance"
    assert (comparison.arms[3].largest_gap, comparison.arms[3].tolerance) == (4.0, 4.0)
    assert comparison.holds


def test_a_difference_beyond_the_tolerance_fails(compared):
    comparison = compared({"both": [45.9]})
    assert verdicts(comparison)["both"] == "differs"
    assert comparison.arms[3].detail.startswith("largest gap 4.10 mask AP, tolerance 4.0, type of CPU unknown;")
    assert not comparison.holds


def test_an_arm_near_0_may_move_by_less(compared):
    assert verdicts(compared({"pairwise": [0.5]}))["pairwise"] == "within tolerance"
    assert verdicts(compared({"pairwise": [0.6]}))["pairwise"] == "differs"
    # box_mask at 12: 4 * sqrt(12 * 88) / 50 = 2.60
    assert verdicts(compared({"box_mask": [14.5]}))["box_mask"] == "within tolerance"
    assert verdicts(compared({"box_mask": [14.7]}))["box_mask"] == "differs"


def test_another_metric_that_differs_is_named(tmp_path, write_results, study):
    theirs = read_results(write_results(tmp_path, SEED_0))
    ours = theirs.copy()
    ours.loc[ours["arm"] == "full", "box_AP"] += 0.01
    full = compare(ours, {}, study, StudyReference(tmp_path, theirs, trials_of(theirs, {})), ASSUMED).arms[4]
    assert (full.verdict, full.largest_gap) == ("within tolerance", 0.0)
    assert full.detail.endswith("unequal: box_AP")


def test_a_metric_that_only_one_side_has_is_named(tmp_path, write_results, study):
    theirs = read_results(write_results(tmp_path, SEED_0))
    ours = theirs.copy()
    ours.loc[ours["arm"] == "full", "box_AP"] = math.nan
    found = StudyReference(tmp_path, theirs, trials_of(theirs, {}))
    assert compare(ours, {}, study, found, ASSUMED).arms[4].detail.endswith("unequal: box_AP")
    neither = StudyReference(tmp_path, ours, trials_of(ours, {}))
    assert compare(ours, {}, study, neither, ASSUMED).arms[4].verdict == "equal"


def test_seeds_are_compared_one_by_one(compared):
    # The means are equal, 50; each seed is 5 off.
    comparison = compared({"both": [45.0, 55.0]}, REFERENCE | {"both": [50.0, 50.0, 50.0]})
    assert verdicts(comparison)["both"] == "differs"


def test_more_seeds_are_more_comparisons(compared):
    noise = CpuNoise((0.01, -0.02, 0.02), ("a", "b"), comparisons=5)
    one, three = (compared({"both": REFERENCE["both"][:n]}, noise=noise).arms[3].tolerance for n in (1, 3))
    assert (one, three) == (noise.tolerance(50.0), noise.tolerance(50.0, num_seeds=3))
    assert three > one


def test_an_order_that_the_reference_holds_must_not_turn_over(compared):
    # Both arms agree within their tolerances, 4 and 3.92, and still change places: 6 apart, their noise is 5.6
    reference = REFERENCE | {"both": [54.0, 54.5, 53.5]}
    comparison = compared({"both": [57.9], "full": [57.5]}, reference)
    assert set(verdicts(comparison).values()) == {"equal", "within tolerance"}
    assert comparison.order_changes == (
        "projection + pairwise < full masks in the reference (54.0, 60.0), not here (57.9, 57.5)",
    )
    assert not comparison.holds
    equal = compared({"both": [57.5], "full": [57.5]}, reference)
    assert len(equal.order_changes) == 1  # no longer below is turned over, too
    assert compared({"both": [57.4], "full": [57.5]}, reference).holds


def test_an_order_within_the_noise_is_not_judged_but_named_where_it_was_expected(compared):
    reference = REFERENCE | {"both": [57.0, 57.5, 56.5]}  # 3 below full masks in every seed; their noise is 5.6
    comparison = compared({"both": [59.0], "full": [58.5]}, reference)
    assert comparison.order_changes == ()
    assert comparison.close_pairs == (
        "projection + pairwise < full masks in the reference (57.0, 60.0), within the noise",
    )
    assert comparison.holds
    assert compared({}).close_pairs == ()


def test_an_order_that_the_reference_does_not_hold_with_certainty_is_not_judged(compared):
    # full masks are 10, 1 and 19 above: 10 ± 4.303 * 9 / sqrt(3) = 10 ± 22; projection is 20, 29 and 11 below: 20 ± 22.
    # The box is 38 below, p = 0.019, which is too much as the eighth of ten: times 3; pairwise 50, p = 0.012 times 4.
    comparison = compared({}, REFERENCE | {"both": [50.0, 59.5, 40.5]})
    assert comparison.close_pairs == (
        "box as mask < projection + pairwise in the reference (12.0, 50.0), not certain there",
        "projection only < projection + pairwise in the reference (30.0, 50.0), not certain there",
        "projection + pairwise < full masks in the reference (50.0, 60.0), not certain there",
    )
    assert comparison.judged_pairs == 10 - 3
    one_seed = compared({}, SEED_0)
    assert (one_seed.judged_pairs, len(one_seed.close_pairs)) == (0, 6)


def test_two_arms_at_one_level_outside_the_expected_order_may_change_places(compared):
    reference = REFERENCE | {"pairwise": [11.0, 11.4, 10.6]}
    comparison = compared({"box_mask": [11.0], "pairwise": [12.0]}, reference)
    assert comparison.order_changes == comparison.close_pairs == ()
    assert comparison.holds


def test_a_failed_trial_and_an_arm_that_was_not_run_are_missing(compared, tmp_path, write_results, study):
    comparison = compared({"both": [None]})
    assert verdicts(comparison)["both"] == "missing"
    assert comparison.arms[3].detail == "seed 0: ran out of memory"
    assert not comparison.holds
    ours = read_results(write_results(tmp_path / "few", {"full": [60.0]}))
    theirs = read_results(tmp_path / "theirs" / "loss_terms.csv")
    found = compare(ours, {}, study, StudyReference(tmp_path, theirs, trials_of(theirs, {})), ASSUMED).arms[3]
    assert (found.verdict, found.detail, found.means[1]) == ("missing", "the arm was not run", 50.0)
    assert math.isnan(found.largest_gap)


def test_only_seeds_that_both_have_are_compared(compared):
    comparison = compared({"both": [50.0, 40.0, 45.0]}, SEED_0)
    assert (comparison.arms[3].verdict, comparison.arms[3].seeds) == ("equal", (0,))


def test_no_seed_in_common_is_not_judged(compared, tmp_path, write_results, study):
    theirs = read_results(write_results(tmp_path, {"full": [60.0]}))
    ours = theirs.assign(seed=7)
    found = compare(ours, {}, study, StudyReference(tmp_path, theirs, trials_of(theirs, {})), ASSUMED)
    assert (found.arms[0].verdict, found.arms[0].detail) == ("no common seed", "seeds here [7]")
    assert (found.holds, found.judged) == (True, False)


@pytest.fixture
def with_records(tmp_path, write_results, study):
    """Compares `full` at 60 AP in the reference with an AP here, each with its record."""

    def run(ap, record, reference_record):
        ours = read_results(write_results(tmp_path / "ours", {"full": [ap]}))
        theirs = read_results(write_results(tmp_path / "theirs", {"full": [60.0]}))
        reference = StudyReference(tmp_path, theirs, trials_of(theirs, {"full0": reference_record}))
        return compare(ours, {"full0": record}, study, reference, ASSUMED)

    return run


def test_other_settings_are_named_and_not_judged(with_records):
    short, long = ({"name": "shapes", "training": {"epochs": epochs}} for epochs in (2, 16))
    there = record_of(long, data_digest="a")
    comparison = with_records(20.0, record_of(short, data_digest="a"), there)
    assert (comparison.arms[0].verdict, comparison.arms[0].detail) == ("other settings", "training.epochs: 16 -> 2")
    assert (comparison.holds, comparison.judged) == (True, False)
    assert with_records(20.0, record_of(long, data_digest="b"), there).arms[0].detail == "data digest: a -> b"
    assert with_records(20.0, record_of(long | {"new": 1}, data_digest="a"), there).arms[0].verdict == "differs"


def test_an_arm_that_failed_on_other_data_is_not_judged(with_records):
    here, there = (record_of({"name": "x"}, data_digest=digest) for digest in "ba")
    comparison = with_records(None, here, there)
    assert comparison.arms[0].verdict == "other settings"
    assert comparison.arms[0].detail == "seed 0: ran out of memory; data digest: a -> b"
    assert comparison.holds


@pytest.fixture
def two_cpus(tmp_path, write_results, write_records):
    """A reference of three seeds on AVX2, of seed 0 on AVX512 too, where every arm is 1 AP higher."""
    folder = tmp_path / "reference"
    write_results(folder, REFERENCE)
    write_records(folder, device="cpu x86_64 AVX2")
    write_results(folder / "other_cpu", {arm: [aps[0] + 1] for arm, aps in SEED_0.items()})
    write_records(folder / "other_cpu", device="cpu x86_64 AVX512")
    return read_reference(folder, "loss_terms")


@pytest.mark.parametrize(
    ("device", "ap", "gap", "said"),
    [
        ("cpu x86_64 AVX2", 50.0, 0.0, ""),
        ("cpu x86_64 AVX512", 51.0, 0.0, ""),
        ("cpu x86_64 AVX512", 50.0, 1.0, "tolerance 4.0, on the same type of CPU;"),
        ("cpu x86_64 AVX512 VNNI", 51.5, 0.5, "cpu x86_64 AVX512 VNNI vs. cpu x86_64 AVX512;"),
        ("cuda NVIDIA", 51.5, 1.5, "cuda NVIDIA vs. cpu x86_64 AVX2;"),
    ],
)
def test_a_trial_is_compared_with_that_of_its_own_type_of_cpu_else_with_the_nearest(
    tmp_path, write_results, write_records, study, two_cpus, device, ap, gap, said
):
    ours = read_results(write_results(tmp_path / "ours", {"both": [ap]}))
    write_records(tmp_path / "ours", device=device)
    records = read_records(ours, tmp_path / "ours/loss_terms/trials")
    both = compare(ours, records, study, two_cpus, ASSUMED).arms[3]
    assert (both.verdict, both.largest_gap) == ("within tolerance" if gap else "equal", gap)
    assert said in both.detail


def test_other_seeds_than_those_of_the_other_cpu_are_compared_across_types(
    tmp_path, write_results, write_records, study, two_cpus
):
    ours = read_results(write_results(tmp_path / "ours", {"both": [51.0, 51.0]}))
    write_records(tmp_path / "ours", device="cpu x86_64 AVX512")
    records = read_records(ours, tmp_path / "ours/loss_terms/trials")
    both = compare(ours, records, study, two_cpus, ASSUMED).arms[3]
    assert both.reference == {0: 51.0, 1: 50.5}
    assert "cpu x86_64 AVX512 vs. cpu x86_64 AVX2" in both.detail
