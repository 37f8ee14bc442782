"""The histograms of the IoUs of masks: whose they are, in percent, and beside what."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import StepPatch

from analysis.drawing import draw_from_records
from analysis.plots.figures import OURS, REFERENCE, styled
from analysis.plots.mask_ious import mask_ious_figure, share_of_masks
from analysis.results import read_results
from core.result_tables import BINS, MASK_IOUS, NUM_BINS, TRIAL_KEY

APS = {"projection": [30.0, 31.0], "both": [50.0, 52.0], "full": [60.0, None]}


@pytest.fixture
def results(tmp_path, write_results):
    return read_results(write_results(tmp_path, APS))


def counts(results, **bins):
    """Ten masks of each trial, all in the bin of its arm; an arm that is not named has none."""
    rows = {}
    for trial in results.itertuples():
        if trial.arm in bins:
            rows[trial.trial_key] = np.bincount([bins[trial.arm]] * 10, minlength=NUM_BINS)
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(BINS))


def test_the_share_is_that_of_all_finished_seeds_together(results):
    table = counts(results, both=12, full=18)
    second = results.loc[results["arm"] == "both", "trial_key"].iloc[1]
    table.loc[second] = np.bincount([3] * 30, minlength=NUM_BINS)
    share = share_of_masks(table, results, "both")
    assert (share[12], share[3]) == (25, 75)
    assert share.sum() == 100
    assert share_of_masks(table, results, "projection") is None


def test_each_arm_with_masks_has_a_panel_and_the_reference_arm_is_a_line_in_the_others(results, study):
    with styled():
        figure = mask_ious_figure(counts(results, both=12, full=18), results, study, "shapes, 160 px.")
    titles = [axis.get_title().replace("\n", " ") for axis in figure.axes]
    assert titles == [study.label("both"), study.label("full")]
    both, full = ([patch for patch in axis.patches if isinstance(patch, StepPatch)] for axis in figure.axes)
    assert [_highest(patch) for patch in both] == [12, 18]
    assert [_highest(patch) for patch in full] == [18]
    assert {axis.get_ylim() for axis in figure.axes} == {(0, 105)}
    assert to_hex(both[0].get_facecolor()) == OURS.lower()
    assert to_hex(full[0].get_facecolor()) == REFERENCE.lower()
    assert f"line: {study.label('full')}" in " ".join(figure.get_suptitle().split())


def _highest(patch: StepPatch) -> int:
    """The bin with the most masks."""
    heights, _, _ = patch.get_data()
    return int(np.argmax(heights))


def test_without_masks_of_the_reference_arm_there_is_no_line(results, study):
    with styled():
        figure = mask_ious_figure(counts(results, both=12), results, study, "shapes, 160 px.")
    (axis,) = figure.axes
    assert len(axis.patches) == 1
    assert "line:" not in figure.get_suptitle()


def test_the_figure_is_drawn_where_there_are_counts_of_these_trials_alone(tmp_path, results, write_records, study):
    write_records(tmp_path)
    draw_from_records(tmp_path, tmp_path / "studies")
    drawn = tmp_path / "plots/loss_terms_ious.svg"
    assert not drawn.exists()
    table = tmp_path / "loss_terms" / MASK_IOUS
    counts(results, both=12).rename(index="x{}".format).rename_axis(TRIAL_KEY).to_csv(table)  # of other trials
    draw_from_records(tmp_path, tmp_path / "studies")
    assert not drawn.exists()
    counts(results, both=12).rename_axis(TRIAL_KEY).to_csv(table)
    draw_from_records(tmp_path, tmp_path / "studies")
    assert drawn.exists()


def test_no_text_is_wider_than_the_figure(results, study):
    with styled():
        figure = mask_ious_figure(counts(results, both=12), results, study, "shapes, 160 px, " * 12)
        figure.canvas.draw()
        extent = figure.get_tightbbox()
    assert extent.width <= figure.get_figwidth() + 0.05
