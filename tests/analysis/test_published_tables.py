from pathlib import Path

import pandas as pd
import pytest
import yaml

from analysis.published import read_published
from analysis.published_tables import COMPARISONS, comparison_files, main, published_rows, table_files
from analysis.report import main as report
from analysis.study_data import read_study_data
from tests.analysis.made_up import record_of, trial_row


def test_a_row_holds_all_metrics_of_a_model_with_their_status():
    rows = published_rows(read_published(), "main").set_index("row")
    condinst = rows.loc["condinst_r101_3x"]
    assert (condinst["mask_AP"], condinst["mask_AP_status"]) == (39.1, "V")
    assert (condinst["mask_APl"], condinst["mask_APl_status"]) == (50.9, "M")


def test_every_published_row_stands_in_its_table():
    published = read_published()
    for name in COMPARISONS:
        own = published[published["table"] == name]
        assert len(published_rows(published, name)) == len(own.drop_duplicates(["row", "split"])) > 0


def test_unconfirmed_numbers_are_marked_and_explained():
    text = table_files("main", read_published(), [])["published_main.md"]
    assert "57.0 M" in text
    assert "M = recalled from memory, not confirmed in any text; do not rely on it" in text
    assert "Ours: none" in text


def test_ours_stand_beside_the_paper_s_with_their_scale(tmp_path, write_results, write_records, study):
    write_results(tmp_path, {"both": [50.0, 52.0], "full": [60.0, 60.0], "projection": [30.0, 30.0]})
    write_records(tmp_path)
    data = read_study_data(tmp_path / "studies" / "loss_terms.yaml", tmp_path)
    files = table_files("main", read_published(), [data])
    assert "| ours, BoxInst (boxes): projection + pairwise |" in files["published_main.md"]
    assert "51.0 ± 1.4" in files["published_main.md"]
    assert "on generated shapes, not comparable: Recipe `shapes`" in files["published_main.md"]
    assert "ours_loss_terms_both" in files["published_main.csv"]
    assert "ours_loss_terms_projection" not in files["published_main.csv"]
    assert r"51.0 $\pm$ 1.4" in files["published_main.tex"]
    assert r"\label{tab:published_main}" in files["published_main.tex"]
    assert "ours_loss_terms_both" not in table_files("voc", read_published(), [data])["published_voc.csv"]


@pytest.fixture
def write_recipes(tmp_path, coco_config):
    """Writes the study `main` or `voc`, whose arms are recipes: {arm: (AP, depth of its ResNet)}."""

    def write(name, aps, **data):
        (tmp_path / name / "trials").mkdir(parents=True)
        rows = []
        for arm, (ap, depth) in aps.items():
            config = coco_config(f"{name}_{arm}", depth=depth)
            config["data"] |= data
            rows.append(trial_row(arm, 0, ap, "" if ap else "no memory") | {"study": name})
            record = record_of(config, curves=[{"epoch": 1, "mask_AP": ap}], device="gpu")
            (tmp_path / name / "trials" / f"{arm}0.json").write_text(record.to_json())
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
        recipes = {arm: f"{name}_{arm}" for arm in aps}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"recipes": recipes}, sort_keys=False))

    return write


def test_each_arm_of_the_studies_main_and_voc_stands_in_the_table_of_its_data(tmp_path, write_recipes):
    write_recipes("main", {"boxinst_r50_1x": (30.5, 50), "boxinst_r101_1x": (32.0, 101), "boxinst_r50_3x": (None, 50)})
    files = {"train_annotations": "a/instances_train_aug.json", "val_annotations": "a/instances_val.json"}
    write_recipes("voc", {"boxinst_r50": (34.0, 50)}, root="datasets/voc", **files)
    tables = comparison_files(tmp_path, tmp_path)
    lines = [" ".join(line.split()) for line in tables["published_main.md"].splitlines() if "| ours" in line]
    assert [line.split(" | ")[:5] for line in lines] == [
        ["| ours: boxinst r50 1x", "R-50", "90000 steps", "coco, validation", "30.5"],
        ["| ours: boxinst r101 1x", "R-101", "90000 steps", "coco, validation", "32.0"],
    ]
    assert "our run of a published setting: Recipes `main_boxinst_r50_1x`, " in tables["published_main.md"]
    assert "| ours: boxinst r50 " in tables["published_voc.md"]
    assert "that no published number has, not comparable" in tables["published_voc.md"]  # their schedule is unknown
    voc = read_study_data(tmp_path / "voc.yaml", tmp_path)
    assert "| ours" not in table_files("main", read_published(), [voc])["published_main.md"]


def test_a_study_of_recipes_is_reported_beside_the_published_tables(tmp_path, monkeypatch, write_recipes):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("analysis.report.draw_study", lambda *arguments: [])
    write_recipes("main", {"boxinst_r50_1x": (30.5, 50), "boxinst_r101_1x": (32.0, 101)})
    assert report(["--results", ".", "--study-files", "."]) == 0
    assert main(["--results", ".", "--study-files", "."]) == 0
    assert {"main.md", "main.csv", "published_main.md"} <= {path.name for path in Path("tables").iterdir()}
    assert "No reference for recipe `coco`" in Path("comparison/main.md").read_text()
    assert "Recipes `main_boxinst_r50_1x`, `main_boxinst_r101_1x`" in Path("tables/main.md").read_text()


def test_all_comparisons_are_written_as_markdown_csv_and_latex(tmp_path, capsys):
    (tmp_path / "loss_terms.csv").write_text("arm,trial_key\nboth,k\n")
    assert main(["--results", str(tmp_path)]) == 2
    assert "columns missing" in capsys.readouterr().err
    assert main(["--results", str(tmp_path), "--studies", "warmup"]) == 0  # loss_terms is not asked for
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    assert names == {f"published_{name}.{kind}" for name in COMPARISONS for kind in ("md", "csv", "tex")}
