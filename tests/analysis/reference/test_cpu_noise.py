import numpy as np
import pytest

from analysis.reference.cpu_noise import ASSUMED_AP, FLOOR_AP, CpuNoise, measure_noise, share_scale

APS = {"box_mask": [10.0], "projection": [20.0], "pairwise": [0.0], "both": [50.0], "full": [80.0]}
AVX2, AVX512 = "cpu x86_64 AVX2", "cpu x86_64 AVX512"


@pytest.fixture
def reference(tmp_path, write_results, write_records):
    """Writes a reference of one seed on one type of CPU and, where given, the APs on another."""

    def write(aps, elsewhere=None):
        write_results(tmp_path, aps)
        write_records(tmp_path, device=AVX2)
        if elsewhere is not None:
            write_results(tmp_path / "other_cpu", elsewhere)
            write_records(tmp_path / "other_cpu", device=AVX512)
        return tmp_path

    return write


def test_a_share_spreads_most_in_the_middle_and_not_at_all_at_its_ends():
    assert [share_scale(ap) for ap in (0.0, 50.0, 100.0)] == [0.0, 50.0, 0.0]
    assert share_scale(10.0) == share_scale(90.0) == pytest.approx(30.0)  # sqrt(10 * 90)


def test_the_tolerance_agrees_with_hand_computation():
    # 3 pairs: sd sqrt((0.01^2 + 0.02^2 + 0.02^2) / 3) = 0.03 / sqrt(3). Student's t for 3 degrees of freedom at
    # 1 - 0.05 / 2 / 5 = 0.995 is 5.8409, in the tables
    noise = CpuNoise((0.01, -0.02, 0.02), (AVX2, AVX512), comparisons=5)
    bound = 5.8409 * 0.03 / 3**0.5
    assert noise.tolerance(50.0) == pytest.approx(50 * bound, rel=1e-4)
    assert noise.tolerance(10.0) == pytest.approx(30 * bound, rel=1e-4)
    assert noise.tolerance(0.0) == FLOOR_AP
    one = CpuNoise((0.01, -0.02, 0.02), (AVX2, AVX512), comparisons=1)
    assert one.tolerance(50.0, num_seeds=5) == noise.tolerance(50.0)  # five seeds are five comparisons


def test_the_noise_is_measured_from_the_pairs_whatever_lies_there(reference):
    # d / sqrt(p (100 - p)) at the pair's mean p: 3 / sqrt(10 * 90), -4 / sqrt(20 * 80), 5 / 50, 4 / sqrt(80 * 20)
    elsewhere = {"box_mask": [11.5], "projection": [18.0], "pairwise": [0.0], "both": [52.5], "full": [82.0]}
    here = {"box_mask": [8.5], "projection": [22.0], "pairwise": [0.0], "both": [47.5], "full": [78.0]}
    noise = measure_noise(reference(here, elsewhere))
    assert noise.scaled == pytest.approx((0.1, -0.1, 0.1, 0.1))  # `pairwise` stays at 0 on both, and tells nothing
    assert (noise.devices, noise.comparisons, noise.measured) == ((AVX2, AVX512), 5, True)
    assert "measured: 4 pairs of equal trainings on cpu x86_64 AVX2 and cpu x86_64 AVX512" in noise.sentence
    assert "standard deviation of 5.00 AP at 50 AP" in noise.sentence


def test_one_type_of_cpu_leaves_the_tolerance_assumed_and_it_says_so(reference):
    noise = measure_noise(reference(APS))
    assert not noise.measured
    assert noise.tolerance(50.0) == ASSUMED_AP
    assert noise.tolerance(10.0) == pytest.approx(ASSUMED_AP * 0.6)
    assert "ASSUMED, not measured: the reference has no equal trainings on two types of CPU (cpu x86_64 AVX2)" in (
        noise.sentence
    )
    few = measure_noise(reference(APS, {"both": [50.5], "full": [60.5]}))
    assert (few.measured, "has only 2 equal" in few.sentence) == (False, True)


def test_a_training_that_stands_in_two_studies_counts_once(tmp_path, write_study):
    for place, aps in ((tmp_path, [50.0, 60.0]), (tmp_path / "other_cpu", [51.0, 61.0])):
        for study in ("warmup", "redesigned_loss"):
            arms = {"warmup": ("pairwise_warmup=0", "pairwise_warmup=0.3"), "redesigned_loss": ("dice", "redesigned")}
            write_study(place, study, {arm: [ap] for arm, ap in zip(arms[study], aps, strict=True)})
            csv = place / f"{study}.csv"
            for key, arm in zip(("a", "b"), arms[study], strict=True):  # the same two trainings
                csv.write_text(csv.read_text().replace(f",{arm}0,", f",{key},"))
                (place / study / "trials" / f"{arm}0.json").rename(place / study / "trials" / f"{key}.json")
    noise = measure_noise(tmp_path)
    assert (len(noise.scaled), noise.comparisons) == (2, 2)


def test_nothing_at_all_is_assumed_too(tmp_path):
    noise = measure_noise(tmp_path / "nowhere")
    assert (noise.measured, noise.devices, noise.tolerance(50.0)) == (False, (), ASSUMED_AP)


def test_all_trials_of_an_honest_run_stay_within_in_95_of_100_runs():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        noise = CpuNoise(tuple(rng.normal(0, 0.014, 33)), (AVX2, AVX512), comparisons=33)
        run = rng.normal(0, 0.014 * share_scale(50.0), 33)
        held.append(np.abs(run).max() <= noise.tolerance(50.0))
    # Bonferroni's bound is a little below 5 %; 3.5 standard deviations of such a share are 1.7 %
    assert 0.935 <= np.mean(held) <= 0.975
