import pytest

from analysis.presentation import main_figure, own_columns, study_table, study_verdict, table_files
from analysis.study_data import read_study_data

PLAIN = {
    "neighborhood": ["neighborhood_size=3,neighborhood_dilation=2", "neighborhood_size=5,neighborhood_dilation=1"],
    "redesigned_loss": ["dice", "redesigned"],
    "warmup": ["pairwise_warmup=0", "pairwise_warmup=0.3"],
    "baselines": ["both", "grabcut", "full", "mask_rcnn"],
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_study_without_a_figure_of_its_own_has_bars_of_its_arms(tmp_path, write_study, name):
    arms = PLAIN[name]
    path = write_study(tmp_path, name, {arm: [50.0, None] for arm in arms}, header=f"reference_arm: {arms[0]}")
    data = read_study_data(path, tmp_path)
    assert own_columns(data) is None
    assert len(main_figure(data, study_table(data)).axes[0].patches) == len(arms) + 1  # and one for the legend
    files = table_files(data)
    assert list(files) == [f"{name}.md", f"{name}.csv", f"{name}.tex"]
    assert "seed 1: ran out of memory" in files[f"{name}.md"]
    assert study_verdict(data).text in files[f"{name}.md"]
    assert "NOT a COCO number" in files[f"{name}.tex"]


def test_columns_of_its_own_stand_in_all_three_tables(tmp_path, write_study):
    aps = {"masks_0": [50.0, 51.0], "masks_10": [55.0, 55.0], "masks_100": [60.0, 60.0]}
    files = table_files(read_study_data(write_study(tmp_path, "mask_ratio", aps), tmp_path))
    assert "gap closed" in files["mask_ratio.md"]
    assert "gap_closed_low" in files["mask_ratio.csv"]
    assert "gap closed" in files["mask_ratio.tex"]


def test_a_study_of_that_name_that_varies_something_else_has_bars(tmp_path, write_study):
    path = write_study(tmp_path, "color_threshold", {"color_threshold=0": [50.0]})
    csv = tmp_path / "color_threshold.csv"
    csv.write_text(csv.read_text().replace("loss.color_threshold", "loss.color_temperature"))
    data = read_study_data(path, tmp_path)
    assert len(main_figure(data, study_table(data)).axes[0].patches) == 2
    assert study_verdict(data).text == "The study expects no order."


@pytest.mark.parametrize(
    ("name", "arm"),
    [("color_threshold", "color_threshold=0"), ("mask_ratio", "masks_0"), ("annotation_budget", "boxes_25")],
)
def test_a_study_whose_trials_all_failed_is_shown_with_its_reasons(tmp_path, write_study, name, arm):
    data = read_study_data(write_study(tmp_path, name, {arm: [None]}), tmp_path)
    assert [text.get_text() for text in main_figure(data, study_table(data)).axes[0].texts] == ["no result"]
    assert "seed 0: ran out of memory" in table_files(data)[f"{name}.md"]
    assert study_verdict(data).holds is None


def test_the_mask_ratio_says_whether_ap_rises_and_which_share_of_the_gap_is_closed(tmp_path, write_study):
    aps = {"masks_0": [50.0] * 3, "masks_10": [55.0, 56.0, 55.5], "masks_50": [54.0] * 3, "masks_100": [60.0] * 3}
    path = write_study(tmp_path, "mask_ratio", aps, header="expectation: masks_0 < masks_10 < masks_100")
    found = study_verdict(read_study_data(path, tmp_path))
    assert found.holds is True
    assert "mean AP does not rise at every step, it falls by 1.5 from 10 % of masks to 50 % of masks." in found.text
    # 5.5 ± 4.303 * 0.5 / sqrt(3) of 10
    share = "55 % (95 % interval 43 to 67 %, n = 3) of the gap closed"
    assert f"10 % of masks (masks and boxes mixed): {share}." in found.text
