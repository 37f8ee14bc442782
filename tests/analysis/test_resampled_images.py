from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.comparisons import Pair, compare_arms
from analysis.resampled_images import read_resampled, resampled_faults, with_images
from analysis.results import read_results
from analysis.statistics import paired_difference, summarize, with_error
from analysis.verdict import verdict
from tests.analysis.made_up import record_of

APS = {"both": [50.0, 52.0, 54.0], "full": [60.0, 63.0, 66.0]}


@pytest.fixture
def results(tmp_path, write_results):
    return read_results(write_results(tmp_path, APS))


def draws_of(results, shift, *, digest="v"):
    """A file in which the AP of `full` alone changes with the draw, by `shift`; `both` stays."""
    rows = {}
    for trial in results.itertuples():
        moved = trial.mask_AP + (shift if trial.arm == "full" else 0 * shift)
        rows[trial.trial_key] = [digest, trial.mask_AP, *moved]
    columns = ["validation_file", "all_images", *(f"draw_{index}" for index in range(len(shift)))]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("trial_key")


SHIFT = np.tile([-2.0, 2.0], 50)  # variance 400 / 99 over the draws


def test_the_error_is_that_of_seeds_and_of_images_together(results):
    plain = paired_difference(results, "full", "both", "mask_AP")  # 10, 11, 12: sd 1, error 1 / sqrt(3)
    found = with_images(plain, results, "full", "both", draws_of(results, SHIFT))
    images = 4 * 100 / 99
    assert (found.mean, found.n, found.error, found.freedom) == (plain.mean, plain.n, plain.error, 2)
    assert found.images_error == pytest.approx(images**0.5)
    half = (4.3027**2 / 3 + 1.95996**2 * images) ** 0.5  # t with two degrees of freedom, normal
    assert found.interval == pytest.approx((11 - half, 11 + half), abs=1e-3)
    assert found.p_value > plain.p_value
    assert replace(found, mean=half).p_value == pytest.approx(0.05, abs=1e-4)
    # equal draws of both arms cancel: the pairing over images
    both = draws_of(results, SHIFT)
    steady = both.assign(**{column: both["all_images"] + 3 * index for index, column in enumerate(both.columns[2:])})
    assert with_images(plain, results, "full", "both", steady).images_error == pytest.approx(0)


def test_an_uncertainty_more_never_makes_an_interval_narrower(results):
    plain = paired_difference(results, "full", "both", "mask_AP")
    previous = plain
    for scale in (0.01, 0.1, 0.5, 1.0, 4.0):
        found = with_images(plain, results, "full", "both", draws_of(results, scale * SHIFT))
        assert found.interval[0] < previous.interval[0]
        assert found.p_value > previous.p_value
        previous = found


def test_both_sources_together_keep_the_level():
    # three seeds and images, in all proportions: of true differences of 0, at most 5 % are told apart
    generator = np.random.default_rng(0)
    for of_images in (0.25, 1.0, 4.0):
        seeds = generator.normal(0, 3**0.5, size=(2000, 3)) + generator.normal(0, of_images, size=(2000, 1))
        ends = [with_error(plain := summarize(draw), plain.error, 2, of_images).interval for draw in seeds.tolist()]
        assert np.mean([not low <= 0 <= high for low, high in ends]) <= 0.055


def test_without_detections_of_every_trial_it_is_given_these_images(results, study):
    plain = paired_difference(results, "full", "both", "mask_AP")
    file = draws_of(results, SHIFT)
    assert with_images(plain, results, "full", "both", file.drop(index="both1")) is None
    other = file.assign(validation_file=["v"] * 5 + ["w"])
    assert with_images(plain, results, "full", "both", other) is None
    one = results[results["seed"] == 0]
    assert with_images(paired_difference(one, "full", "both", "mask_AP"), one, "full", "both", file) is None


def test_the_verdict_says_what_the_interval_covers(results, study):
    pair = replace(study, arms=("both", "full"), expected_orders=(("both", "full"),))
    seeds = compare_arms(results, pair)
    images = compare_arms(results, pair, resampled=draws_of(results, 2.5 * SHIFT))
    assert (seeds.images, images.images) == (False, True)
    assert seeds[Pair("full", "both")].told_apart
    assert verdict(results, pair, seeds).outcome == "holds"
    found = verdict(results, pair, images)  # 11 ± 10.1
    assert "(paired over seeds and over resampled images, Holm's correction for one comparison)" in found.text
    wide = compare_arms(results, pair, resampled=draws_of(results, 3.5 * SHIFT))
    assert verdict(results, pair, wide).outcome == "not told apart"  # 11 ± 13.9
    assert "but too few validation images tell the arms apart" in verdict(results, pair, wide).text


def test_the_file_is_checked(tmp_path, results):
    path = tmp_path / "resampled_ap.csv"
    draws_of(results, SHIFT).to_csv(path)
    read = read_resampled(path)
    assert read.loc["full2", "draw_0"] == 64.0
    draws_of(results, SHIFT[:10]).to_csv(path)
    with pytest.raises(ValueError, match=r"resampled_ap\.csv: 10 draws of images, expected at least 50"):
        read_resampled(path)
    draws_of(results, 100 * SHIFT).to_csv(path)
    with pytest.raises(ValueError, match="column draw_0: expected an AP from 0 to 100"):
        read_resampled(path)
    pd.concat([draws_of(results, SHIFT)] * 2).to_csv(path)
    with pytest.raises(ValueError, match="more than one row for trial both0"):
        read_resampled(path)


def test_the_file_must_fit_the_records(tmp_path, results):
    path = tmp_path / "resampled_ap.csv"
    draws_of(results, SHIFT).to_csv(path)
    records = [record_of({}, key=trial.trial_key, metrics={"mask_AP": trial.mask_AP}) for trial in results.itertuples()]
    assert resampled_faults(path, records) == []
    wrong = records[0].changed(metrics={"mask_AP": 51.0})
    assert "trial both0 has 50.0 on all images, its record 51.0" in resampled_faults(path, [wrong, *records[1:]])[0]
    assert "trial both0 has no record with a mask AP" in resampled_faults(path, records[1:])[0]
