import csv
import json
from pathlib import Path

import pytest
from dvc_render.vega import VegaRenderer

from analysis.metrics import metric_files
from analysis.study_data import read_study_data

ARMS_TEMPLATE = str(Path(__file__).parents[2] / ".dvc/plots/arms.json")
# Student's t for one degree of freedom is 12.706: 51 ± 12.706 * sqrt(2) / sqrt(2)
APS = {"dice": [50.0, 52.0], "redesigned": [60.0, None]}


@pytest.fixture
def files(tmp_path, write_study):
    """Writes the files of a study with these APs; returns their texts by name."""

    def write(aps):
        data = read_study_data(write_study(tmp_path, "redesigned_loss", aps), tmp_path)
        return {Path(path).name: text for path, text in metric_files(data).items()}

    return write


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


def test_the_files_lie_where_dvc_looks_for_them(tmp_path, write_study):
    data = read_study_data(write_study(tmp_path, "redesigned_loss", APS), tmp_path)
    assert list(metric_files(data)) == [
        "metrics/redesigned_loss.json",
        "plots/data/redesigned_loss_arms.csv",
        "plots/data/redesigned_loss_curves.csv",
    ]


def test_an_arm_has_its_mean_and_with_several_seeds_the_interval(files):
    assert json.loads(files(APS)["redesigned_loss.json"]) == {
        "dice": {"mask_AP": 51.0, "low": 38.2938, "high": 63.7062, "seeds": 2},
        "redesigned": {"mask_AP": 60.0, "seeds": 1},
    }


def test_an_arm_without_a_result_is_left_out_and_a_study_without_any_has_empty_files(files):
    lacking = files({"dice": [None], "redesigned": [60.0]})
    assert list(json.loads(lacking["redesigned_loss.json"])) == ["redesigned"]
    assert len(rows_of(lacking["redesigned_loss_arms.csv"])) == 1
    nothing = files({"dice": [None]})
    assert nothing["redesigned_loss.json"] == "{}\n"
    assert nothing["redesigned_loss_arms.csv"] == "arm,mask_AP,box_AP\n"
    assert nothing["redesigned_loss_curves.csv"] == "arm,epoch,loss_total,mask_AP\n"


def test_arms_stand_in_the_order_of_the_study_under_the_names_that_readers_know(files):
    assert rows_of(files(APS)["redesigned_loss_arms.csv"]) == [
        {"arm": "Dice on true masks", "mask_AP": "51.0", "box_AP": "61.0"},
        {"arm": "projection + pairwise from true masks (Eq. 5)", "mask_AP": "60.0", "box_AP": "61.0"},
    ]


def test_curves_are_means_over_seeds_and_empty_where_an_epoch_was_not_evaluated(tmp_path, write_results, write_records):
    write_results(tmp_path, {"both": [50.0, 52.0]})
    write_records(tmp_path)  # two epochs, the second evaluated; total losses 2 and 1 in both seeds
    path = tmp_path / "loss_terms/trials/both1.json"
    path.write_text(path.read_text().replace('"loss/total": 2.0', '"loss/total": 2.5'))
    text = metric_files(read_study_data(tmp_path / "studies/loss_terms.yaml", tmp_path))[
        "plots/data/loss_terms_curves.csv"
    ]
    label = "both"  # there is no study file, and so no other name
    assert rows_of(text) == [
        {"arm": label, "epoch": "1", "loss_total": "2.25", "mask_AP": ""},
        {"arm": label, "epoch": "2", "loss_total": "1.0", "mask_AP": "51.0"},
    ]


def test_numbers_that_are_not_finite_have_no_place(tmp_path, write_results, write_records):
    write_results(tmp_path, {"both": [50.0]})
    write_records(tmp_path)
    path = tmp_path / "loss_terms/trials/both0.json"
    path.write_text(path.read_text().replace('"loss/total": 2.0', '"loss/total": null'))
    texts = metric_files(read_study_data(tmp_path / "studies/loss_terms.yaml", tmp_path))
    assert rows_of(texts["plots/data/loss_terms_curves.csv"])[0]["loss_total"] == ""


def test_equal_results_give_equal_bytes(files):
    assert files(APS) == files(APS)


@pytest.mark.parametrize(
    ("file", "template", "x", "y", "drawn"),
    [
        ("redesigned_loss_arms.csv", "bar_horizontal", "mask_AP", "arm", '"field": "mask_AP"'),
        ("redesigned_loss_curves.csv", "linear", "epoch", "mask_AP", '"field": "mask_AP"'),
        ("redesigned_loss_curves.csv", ARMS_TEMPLATE, "epoch", "loss_total", "toNumber(datum['loss_total'])"),
    ],
)
def test_the_plots_of_dvc_are_filled(files, file, template, x, y, drawn):
    rows = [row | {"rev": "workspace"} for row in rows_of(files(APS)[file])]
    filled = json.dumps(VegaRenderer(rows, file, template=template, x=x, y=y).get_filled_template())
    assert "<DVC_METRIC" not in filled
    assert drawn in filled
    assert "Dice on true masks" in filled
