"""The row of a trial in the CSV of a study."""

import pytest

from core.evaluation import coco_metrics
from core.record import METRICS, Record, study_csv
from tests.core.record_content import content


def test_a_row_has_metrics_to_four_digits_and_the_settings_that_vary() -> None:
    # 12.345678 -> 12.3457, 1/3 -> 0.3333; a metric that is null or missing is empty; a list is joined by hyphens
    text = study_csv([Record(**content())], ["data.short_sides", "loss.semantic"])
    assert text.splitlines() == [
        f"study,arm,seed,trial_key,data.short_sides,loss.semantic,{','.join(METRICS)},status,reason",
        "widths,narrow,3,0123456789abcdef,64-96,,12.3457,20.0,,,,,0.3333,,ok,",
    ]


def test_a_setting_whose_value_is_a_section_is_shown_by_its_values() -> None:
    config = {"supervision": {"pseudo_masks": {"file": "masks.json"}}, "supervision_of_another": {"kind": 1}}
    text = study_csv([Record(**content(config=config))], ["supervision.pseudo_masks"])
    assert text.splitlines()[1].startswith("widths,narrow,3,0123456789abcdef,masks.json,12.3457,")


def test_a_failed_trial_is_a_row_without_metrics() -> None:
    record = Record(**content(status="failed", reason="MemoryError: 3, 4", metrics={}))
    assert study_csv([record], []).splitlines()[1] == (
        'widths,narrow,3,0123456789abcdef,,,,,,,,,failed,"MemoryError: 3, 4"'
    )


def test_a_setting_that_a_trial_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"trial 0123456789abcdef has no setting loss\.new"):
        study_csv([Record(**content())], ["loss.dice", "loss.new"])


def test_the_metrics_of_the_table_are_among_those_of_the_evaluation() -> None:
    assert set(METRICS) < set(coco_metrics.METRICS)
