from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.comparisons import Pair, compare_arms
from analysis.resampled_images import read_resampled, resampled_faults, with_images
from analysis.results import read_results
from analysis.statistics import paired_difference
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
    assert found.error == pytest.approx((1 / 3 + images) ** 0.5)
    assert found.freedom == pytest.approx((1 / 3 + images) ** 2 / ((1 / 3) ** 2 / 2))
    assert (found.mean, found.n) == (plain.mean, plain.n)
    # equal draws of both arms cancel: the pairing over images
    both = draws_of(results, SHIFT)
    steady = both.assign(**{column: both["all_images"] + 3 * index for index, column in enumerate(both.columns[2:])})
    assert with_images(plain, results, "full", "both", steady).error == pytest.approx(plain.error)


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
    assert verdict(results, pair, wide).outcome == "too few seeds to tell"  # 11 ± 13.9


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
