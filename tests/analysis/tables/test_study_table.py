from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.published import read_published
from analysis.results import read_results
from analysis.study import load_study
from analysis.tables.study_table import arm_table, markdown_table, reader_table, reading_note, render_markdown

TWO_SEEDS = {
    "box_mask": [11.0, 13.0],
    "projection": [30.0, 30.0],
    "pairwise": [1.0, None],
    "both": [48.0, 51.0],
    "full": [60.0, 60.0],
}
# Worked by hand: sd of {11, 13} is sqrt(2) = 1.4, of {48, 51} sqrt(4.5) = 2.1; Student's t of two seeds is 12.706, so
# that their intervals are ± 12.706 * 1 and ± 12.706 * 1.5; shares 12, 30, 1, 49.5 of 60; differences 12 - 60, ...;
# published shares 10.6, 21.2, 30.7 of 35.7. p with one degree of freedom is 1 - 2 atan(t) / pi: t = 48, infinite and 7
# beside full masks, 18 and 13 for the other steps of the order; Holm: 5 * 0, 4 * 0.0133, 3 * 0.0353, 0.106, 0.106.
GOLDEN = """\
| arm                   |    mask AP | 95 % interval |   n | AP50 | AP75 |  APs |  APm |  APl | box AP | mask area / box area | share of full masks | difference to full masks | its 95 % interval | its n |     told apart | published AP | published share | status |
| --------------------- | ---------: | ------------: | --: | ---: | ---: | ---: | ---: | ---: | -----: | -------------------: | ------------------: | -----------------------: | ----------------: | ----: | -------------: | -----------: | --------------: | -----: |
| box as mask           | 12.0 ± 1.4 |  -0.7 to 24.7 |   2 | 12.0 | 12.0 | 12.0 | 12.0 | 12.0 |   61.0 |                 0.50 |                20 % |              -48.0 ± 1.4 |    -60.7 to -35.3 |     2 |  no, p = 0.053 |         10.6 |            30 % |      M |
| projection only       | 30.0 ± 0.0 |  30.0 to 30.0 |   2 | 30.0 | 30.0 | 30.0 | 30.0 | 30.0 |   61.0 |                 0.50 |                50 % |              -30.0 ± 0.0 |    -30.0 to -30.0 |     2 | yes, p < 0.001 |         21.2 |            59 % |      M |
| pairwise only         |        1.0 |             - |   1 |  1.0 |  1.0 |  1.0 |  1.0 |  1.0 |   61.0 |                 0.50 |                 2 % |                    -59.0 |                 - |     1 |       one seed |            - |               - |   none |
| projection + pairwise | 49.5 ± 2.1 |  30.4 to 68.6 |   2 | 49.5 | 49.5 | 49.5 | 49.5 | 49.5 |   61.0 |                 0.50 |                82 % |              -10.5 ± 2.1 |     -29.6 to +8.6 |     2 |   no, p = 0.11 |         30.7 |            86 % |      V |
| full masks            | 60.0 ± 0.0 |  60.0 to 60.0 |   2 | 60.0 | 60.0 | 60.0 | 60.0 | 60.0 |   61.0 |                 0.50 |               100 % |                        - |                 - |     - |              - |         35.7 |           100 % |      V |
"""  # noqa: E501


@pytest.fixture
def results(tmp_path, write_results) -> pd.DataFrame:
    return read_results(write_results(tmp_path, TWO_SEEDS))


def test_the_table_for_readers_is_the_golden_one(results, study):
    published = read_published()
    text = render_markdown(
        arm_table(results, study, published),
        study,
        scale="Made up.",
        verdict="Holds.",
        gap="From 3 AP on.",
        published=published,
    )
    assert GOLDEN in text
    assert "- pairwise only: seed 1: ran out of memory\n" in text
    assert "M: recalled from memory" in text
    assert "\nHolds.\n\nFrom 3 AP on.\n" in text
    assert text.startswith("# loss terms\n\nWhich term matters?\n\nMade up.\n")


def test_the_csv_table_leads_to_the_trials(results, study):
    table = arm_table(results, study, read_published())
    assert table["trial_keys"]["both"] == "both0 both1"
    assert table["trial_keys"]["pairwise"] == "pairwise0"
    assert table["holes"]["pairwise"] == "seed 1: ran out of memory"
    assert (table["mask_AP_low"]["both"], table["mask_AP_high"]["both"]) == pytest.approx((30.44, 68.56), abs=0.01)
    assert pd.isna(table["mask_AP_low"]["pairwise"])


def test_an_arm_without_any_number_is_shown_as_a_hole(tmp_path, write_results, study):
    results = read_results(write_results(tmp_path, TWO_SEEDS | {"full": [None, None]}))
    table = arm_table(results, study, read_published())
    text = render_markdown(table, study, scale="", verdict="", published=read_published())
    assert "| full masks            |          - |             - |   0 |" in text


def test_an_arm_without_any_number_does_not_change_what_the_intervals_cover(results, study):
    table = arm_table(results, study, read_published())
    table["difference_over_images"] = table["difference_n"] > 1  # `pairwise` has one seed
    assert "it is for other seeds, given these validation images" in reading_note(table)
    table.loc["pairwise", "difference_n"] = 0
    assert "it is for other seeds and validation images" in reading_note(table)


def test_a_study_without_reference_arm_or_published_numbers_has_no_such_columns(results, study):
    plain = replace(study, file=Path("annotation_budget.yaml"), reference_arm=None, expected_orders=())
    table = arm_table(results, plain, read_published())
    text = render_markdown(table, plain, scale="", verdict="", published=read_published())
    assert "share" not in text
    assert "their" not in text.lower()


def test_our_difference_stands_only_where_the_setting_is_theirs(results, study, coco_config):
    theirs = dict.fromkeys(study.arms, coco_config())
    cells = reader_table(arm_table(results, study, read_published(), theirs), study)
    # 49.5 - 30.7, 60 - 35.7; nothing is known of pairwise alone
    assert cells["ours - published"].tolist() == ["+1.4", "+8.8", "-", "+18.8", "+24.3"]
    for other in (coco_config(steps=10), coco_config(short_side=160), coco_config(pyramid="bifpn")):
        configs = dict.fromkeys(study.arms, other)
        assert "ours - published" not in reader_table(arm_table(results, study, read_published(), configs), study)
    one = reader_table(arm_table(results, study, read_published(), theirs | {"full": coco_config(steps=10)}), study)
    assert one["ours - published"].tolist() == ["+1.4", "+8.8", "-", "+18.8", "-"]  # of each arm by its own settings


def test_sizes_that_no_object_has_are_named(results, study):
    results = results.assign(mask_APl=float("nan"))
    table = arm_table(results, study, read_published())
    text = render_markdown(table, study, scale="", verdict="", published=read_published())
    assert "The validation images contain no large objects." in text


def test_a_bar_in_a_cell_does_not_break_the_table():
    assert markdown_table(["a"], [["x|y"]]) == "| a    |\n| ---- |\n| x\\|y |"


def test_a_published_number_of_no_arm_goes_by_what_others_call_it(tmp_path, write_study):
    path = write_study(tmp_path, "redesigned_loss", {"dice": [60.0], "redesigned": [61.0]})
    results, published = read_results(tmp_path / "redesigned_loss.csv"), read_published()
    study = load_study(path, ["dice", "redesigned"])
    text = render_markdown(arm_table(results, study, published), study, scale="", verdict="", published=published)
    assert "- CondInst, pixel-wise Dice, R-50 1x: 35.6 (M), approximate" in text
