"""The table of how the IoUs of masks are spread: what is read, what is refused, and what does not fit the records."""

import pandas as pd
import pytest

from analysis.mask_ious import mask_iou_faults, read_mask_ious
from core.result_tables import BINS
from tests.analysis.made_up import record_of

MIDDLE = [0] * 14 + [4, 6] + [0] * 4  # IoUs from 0.70 to 0.80; their mean is from 0.73 to 0.78


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "mask_ious.csv"

    def write(*rows):
        table = pd.DataFrame(rows, columns=["trial_key", *BINS])
        table.to_csv(path, index=False)
        return path

    return write


def records(**metrics):
    return [record_of({}, key="a1", metrics={"mask_AP": 50.0, "matched_boxes": 12.0, "mask_iou": 0.75} | metrics)]


def test_the_counts_are_read_by_trial(written):
    table = read_mask_ious(written(["a", *MIDDLE], ["b", *[1] * 20]))
    assert table.loc["a"].tolist() == MIDDLE
    assert table.loc["b"].sum() == 20


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([["a", *MIDDLE], ["a", *MIDDLE]], "more than one row for trial a"),
        ([["a", -1, *MIDDLE[1:]]], "column from_0.00: expected a number of masks in every row"),
        ([["a", "x", *MIDDLE[1:]]], "column from_0.00: expected a number of masks"),
        ([["a", *MIDDLE[:-1], 0.5]], "column from_0.95: expected a number of masks"),
    ],
)
def test_what_is_no_such_table_is_refused(written, rows, problem):
    with pytest.raises(ValueError, match=f"mask_ious.csv: {problem}"):
        read_mask_ious(written(*rows))


def test_counts_that_fit_their_record_are_no_fault(written):
    found = records()
    assert mask_iou_faults(written([found[0].key, *MIDDLE]), found) == []


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        ({"mask_iou": 0.79}, "the mean IoU in its record, 0.79, cannot be that of these IoUs"),
        ({"mask_iou": 0.72}, "the mean IoU in its record, 0.72, cannot be that of these IoUs"),
        ({"matched_boxes": 9.0}, "has 10 masks, its record 9"),
    ],
)
def test_counts_that_contradict_their_record_are_named(written, metrics, problem):
    found = records(**metrics)
    (line,) = mask_iou_faults(written([found[0].key, *MIDDLE]), found)
    assert problem in line
    assert found[0].key in line


def test_a_trial_without_a_record_is_named(written):
    (line,) = mask_iou_faults(written(["0" * 16, *MIDDLE]), records())
    assert f"trial {'0' * 16} has no record with matched masks" in line
