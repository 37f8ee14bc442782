from dataclasses import replace

import pytest

from analysis.comparisons import Pair
from analysis.plots.figures import styled
from analysis.presentation import compared_arms, main_figure, study_table, study_verdict
from analysis.studies.mask_ratio import gap_sentences, gaps, ratio_arms, ratio_columns
from analysis.study_data import read_study_data

APS = {
    "masks_0": [50.0, 52.0, 51.0],
    "masks_10": [55.0, 54.0, 55.0],
    "masks_100": [60.0, 60.0, 60.0],
    "two_phases_10": [51.0, 53.0, 52.0],
}


def sentences_of(data):
    return gap_sentences(data.results, data.study, compared_arms(data))


@pytest.fixture
def read(tmp_path, write_study):
    def run(changes):
        path = write_study(tmp_path, "mask_ratio", APS | changes)
        return read_study_data(path, tmp_path)

    return run


def test_arms_are_told_by_what_they_vary(read):
    arms = ratio_arms(read({}).results, read({}).study)
    assert arms["ratio"].to_dict() == {"masks_0": 0.0, "masks_10": 0.1, "masks_100": 1.0, "two_phases_10": 0.1}
    assert arms["kind"]["masks_10"] == "masks and boxes mixed"
    assert arms["kind"]["two_phases_10"] == "boxes first, then masks"


def test_an_arm_whose_masks_weigh_more_is_a_kind_of_its_own_and_compared_with_mixing(read):
    data = read({"dice_times_10": [57.0, 56.1, 57.0]})
    assert ratio_arms(data.results, data.study)["kind"]["dice_times_10"] == "mixed, the term of the masks weighs more"
    assert Pair("dice_times_10", "masks_10") in compared_arms(data).found
    assert "vs. 10 % of masks: +2.0 AP" in " ".join(sentences_of(data))


def test_the_share_of_the_gap_is_a_ratio_of_paired_means(read):
    shares = gaps(read({}).results, read({}).study)
    # seed 0: 5 of 10, seed 1: 2 of 8, seed 2: 4 of 9; together 11 of 27
    assert shares["masks_10"].mean == pytest.approx(100 * 11 / 27)
    # t^2 / 3 = 6.171 times var closed 7/3, var gap 1, cov 3/2: (81 - 6.17) r^2 - 2 (33 - 9.26) r + 13.44 - 14.40 = 0
    assert shares["masks_10"].interval == pytest.approx((-1.95, 65.4), abs=0.05)
    assert (shares["masks_0"].mean, shares["masks_100"].mean) == (0.0, 100.0)


def test_without_an_end_or_without_a_gap_no_share_is_given(read):
    unknown = read({"masks_100": [None, None, None]})
    assert gaps(unknown.results, unknown.study) == {}
    assert ratio_columns(unknown.results, unknown.study) is None
    assert "boxes only or full masks has no result" in sentences_of(unknown)[-1]
    level = read({"masks_100": [50.0, 51.0, 51.0]})
    assert "no gap to close" in sentences_of(level)[-1]
    apart = read({"masks_0": [50.0, None, None], "masks_100": [None, 60.0, 60.0]})
    assert "boxes only and full masks have no seed in common" in sentences_of(apart)[-1]


def test_one_seed_has_a_share_without_interval(read):
    data = read({})
    sentences = sentences_of(replace(data, results=data.results[data.results["seed"] == 0]))
    assert "10 % of masks (masks and boxes mixed): gap closed 50 % (one seed)." in sentences


def test_two_phases_are_compared_with_as_many_masks_in_every_batch(read):
    # 51 - 55, 53 - 54 and 52 - 55: sd 1.53, times 4.303 / sqrt(3); t = 3.02, so p = 0.094
    words = "10 % of masks, in two phases vs. 10 % of masks: -2.7 AP (95 % interval -6.5 to +1.1, n = 3, p = 0.094)"
    data = read({})
    assert f"{words}, mixed: not told apart." in sentences_of(data)
    assert len(compared_arms(data).judged) == 1  # there is no reference arm here
    failed = read({"masks_10": [None, None, None]})
    assert ": no common seed, mixed: not told apart." in " ".join(sentences_of(failed))
    nothing = read({arm: [None] for arm in APS})
    assert ": no common seed, mixed: not told apart." in study_verdict(nothing).text
    clear = read({"two_phases_10": [45.0, 44.0, 45.1]})
    assert any("mixed: told apart." in sentence for sentence in sentences_of(clear))


def test_no_interval_is_given_where_the_gap_is_not_told_from_none_and_that_is_said(read):
    # gaps of 10, -1 and 4: 4.3 ± 13.7
    data = read({"masks_100": [60.0, 51.0, 55.0]})
    share = gaps(data.results, data.study)["masks_10"]
    assert (share.mean, share.interval, share.n) == (pytest.approx(100 * 11 / 13), None, 3)
    said = "no interval: the 95 % interval of the gap itself contains 0"
    assert f"85 % (n = 3, {said})" in " ".join(sentences_of(data))
    columns = ratio_columns(data.results, data.study)
    assert columns.cells["gap closed, 95 % interval"]["masks_10"] == "-"
    assert said.removeprefix("no interval: ") in columns.notes[1]
    assert len(ratio_columns(read({}).results, data.study).notes) == 1


def test_the_figure_shows_both_baselines_and_the_gap_below(read):
    data = read({})
    with styled():
        top, bottom = main_figure(data, study_table(data)).axes
    labels = top.get_legend_handles_labels()[1]
    assert labels[:2] == ["ours, boxes only", "ours, full masks"]
    assert [label.get_text() for label in bottom.get_xticklabels()] == ["0 %", "10 %", "100 %"]
    assert bottom.lines[0].get_ydata().tolist() == pytest.approx([0.0, 100 * 11 / 27, 100.0])
