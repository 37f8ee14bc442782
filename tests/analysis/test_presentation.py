import pytest

from analysis.presentation import VIEWS, main_figure, own_columns, study_table, study_verdict, table_files
from analysis.study_data import read_study_data
from experiments.study import VIEWS as KNOWN_TO_STUDY_FILES

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
    assert "NOT COCO numbers" in files[f"{name}.tex"]


def test_columns_of_its_own_stand_in_all_three_tables(tmp_path, write_study):
    aps = {"masks_0": [50.0, 51.0], "masks_10": [55.0, 55.0], "masks_100": [60.0, 60.0]}
    files = table_files(read_study_data(write_study(tmp_path, "mask_ratio", aps), tmp_path))
    assert "gap closed" in files["mask_ratio.md"]
    assert "gap_closed_low" in files["mask_ratio.csv"]
    assert "gap closed" in files["mask_ratio.tex"]


def test_a_study_file_s_own_word_and_no_name_gives_the_view(tmp_path, write_study):
    aps = {"color_threshold=0": [50.0], "color_threshold=0.3": [52.0]}
    path = write_study(tmp_path, "color_threshold", aps, header="{view: null, x: null}")
    plain = read_study_data(path, tmp_path)
    assert own_columns(plain) is None
    assert len(main_figure(plain, study_table(plain)).axes[0].patches) == 3  # bars, and one for the legend
    assert study_verdict(plain).text == "The study expects no order."
    path = write_study(tmp_path, "warmup", {"pairwise_warmup=0": [50.0], "pairwise_warmup=0.3": [52.0]},
                       header="{view: color_threshold, x: loss.pairwise_warmup}")  # fmt: skip
    other = read_study_data(path, tmp_path)
    assert len(main_figure(other, study_table(other)).axes[0].patches) == 0
    assert study_verdict(other).text.startswith(
        "Expected: warm-up 0 % has the lowest mask AP. Holds for the means, but too few seeds tell the arms apart: "
        "warm-up 0 % vs. warm-up 30 %: -2.0 AP (n = 1)"
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("view: color_treshold", r"view: no view 'color_treshold' \(did you mean 'color_threshold'\?\)"),
        ("view: bars", r"view: no view 'bars'$"),
        ("x: null", "x: missing; the view 'color_threshold' needs the field of its x-axis"),
        (
            "x: loss.color_treshold",
            r"the study does not vary 'loss.color_treshold' \(did you mean 'loss.color_threshold'\?\)",
        ),
        ("view: null", "x: only the views color_threshold, mask_ratio take an x field"),
        ("view: class_split", "x: only the views color_threshold, mask_ratio take an x field"),
    ],
)
def test_a_wrong_view_or_x_names_the_file_and_the_nearest_word(tmp_path, write_study, header, message):
    path = write_study(tmp_path, "color_threshold", {"color_threshold=0": [50.0]}, header=header)
    with pytest.raises(ValueError, match=rf"color_threshold\.yaml: .*{message}"):
        study_table(read_study_data(path, tmp_path))


def test_a_study_file_may_name_every_view_that_there_is_and_no_other():
    assert {name: view.NEEDS_X for name, view in VIEWS.items()} == KNOWN_TO_STUDY_FILES


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
    assert found.outcome == "holds"
    assert (
        "Mean AP does not rise with every step of the ratio: it falls by 1.5 from 10 % of masks to 50 % of masks."
        in found.text
    )
    # 5.5 ± 4.303 * 0.5 / sqrt(3) of 10
    share = "55 % (95 % interval 43 to 67 %, n = 3)"
    assert f"10 % of masks (masks and boxes mixed): gap closed {share}." in found.text
