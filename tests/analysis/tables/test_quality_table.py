from dataclasses import replace

import pytest

from analysis.tables.quality_table import quality_numbers, quality_section
from tests.analysis.made_up import record_of


def section(study, records):
    return quality_section(study, quality_numbers(study, records))


def of(**metrics):
    return record_of({}, metrics=metrics)


@pytest.fixture
def two(study):
    return replace(study, arms=("both", "full"))


def test_the_table_has_mean_and_deviation_over_seeds(two):
    both = [
        of(boundary_AP=20.0, mask_iou=0.5, filled_box_share=0.0),
        of(boundary_AP=22.0, mask_iou=0.6, filled_box_share=0.1),
    ]
    full = [of(boundary_AP=30.0, mask_fragments=1.25, true_filled_box_share=0.04)]
    lines = section(two, {"both": both, "full": full}).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    rows = {row[0]: row[1:] for row in cells}
    assert rows["arm"] == ["boundary AP", "boundary AP75", "IoU", "median IoU", "filled", "parts", "training masks"]
    assert rows["projection + pairwise"] == ["21.0 ± 1.4", "-", "55.0 ± 7.1", "-", "5.0 ± 7.1", "-", "-"]
    assert rows["full masks"] == ["30.0", "-", "-", "-", "-", "1.25", "-"]
    assert "so do 4 % of the true masks" in lines[-1]
    numbers = quality_numbers(two, {"both": both, "full": full})
    assert numbers.loc["both", ["boundary_AP", "mask_iou"]].tolist() == [21.0, pytest.approx(0.55)]
    assert "boundary_AP75" not in numbers


def test_records_of_before_give_no_table(two):
    assert section(two, {"both": [of()], "full": []}) == ""


def test_an_arm_without_results_has_no_row(two):
    text = section(two, {"both": [of(boundary_AP=20.0)]})
    assert "full masks" not in text
