import json
import shutil

import numpy as np
import pytest
from matplotlib.image import imsave

from analysis.plots.figures import empty_figure
from analysis.reference.gate import main as gate
from analysis.report import main, report_study, write_tables

APS = {"box_mask": [12.0], "projection": [30.0], "pairwise": [1.0], "both": [50.0], "full": [60.0]}


@pytest.fixture
def run(tmp_path, monkeypatch, study):
    """Runs the report in a folder with results/, reference/ and studies/."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main(["--study-files", "studies", *arguments])


@pytest.fixture
def no_figures(monkeypatch):
    """Leaves the figures out, which take most of a report's time."""
    monkeypatch.setattr("analysis.report.draw_study", lambda *arguments: [])


def test_without_a_reference_everything_is_written_and_nothing_fails(
    run, tmp_path, write_results, write_records, capsys
):
    write_results(tmp_path / "results", APS)
    write_records(tmp_path / "results")
    for column in ("both-seed0", "full-seed0"):
        (tmp_path / "results/loss_terms/pictures" / column).mkdir(parents=True)
        imsave(tmp_path / "results/loss_terms/pictures" / column / "1.png", np.zeros((8, 8, 3)))
    assert run() == 0
    written = {str(path.relative_to(tmp_path / "results")) for path in (tmp_path / "results").rglob("*.*")}
    assert written >= {
        "tables/loss_terms.md",
        "tables/loss_terms.csv",
        "tables/loss_terms.tex",
        "plots/loss_terms.png",
        "plots/loss_terms.svg",
        "plots/loss_terms_sizes.png",
        "plots/loss_terms_sizes.svg",
        "plots/loss_terms_ious.png",
        "plots/loss_terms_ious.svg",
        "plots/loss_terms_curves.png",
        "plots/loss_terms_curves.svg",
        "plots/loss_terms_pictures.png",
        "comparison/loss_terms.md",
        "metrics/loss_terms.json",
        "plots/data/loss_terms_arms.csv",
        "plots/data/loss_terms_curves.csv",
    }
    assert "No reference for recipe `shapes`" in capsys.readouterr().out


@pytest.mark.usefixtures("no_figures")
def test_the_reference_of_the_same_recipe_is_found_and_judged(run, tmp_path, write_results, write_records, capsys):
    two_seeds = {arm: [ap - 0.1, ap + 0.1] for arm, (ap,) in APS.items()}
    for folder in ("results", "reference/shapes"):
        write_results(tmp_path / folder, two_seeds)
        write_records(tmp_path / folder)
    assert run() == 0
    assert "agree with the reference" in capsys.readouterr().out
    write_results(tmp_path / "results", two_seeds | {"both": [28.9, 29.1]})
    assert run("--studies", "loss_terms") == 0  # `python -m analysis.reference` judges
    text = (tmp_path / "results/comparison/loss_terms.md").read_text()
    assert "ORDER REVERSED: projection only < projection + pairwise in the reference (30.0, 50.0), not here" in text
    assert "DO NOT AGREE with the reference. Arms: projection + pairwise." in text
    assert "DO NOT AGREE" in capsys.readouterr().out


@pytest.mark.usefixtures("no_figures")
def test_a_new_run_id_changes_the_comparison_so_that_the_page_is_made_anew(run, tmp_path, write_results, write_records):
    write_results(tmp_path / "results", APS)
    write_records(tmp_path / "results")
    texts = []
    for run_id in ("a", "b", "a"):
        for path in (tmp_path / "results/loss_terms/trials").iterdir():
            path.write_text(json.dumps(json.loads(path.read_text()) | {"mlflow_run_id": run_id}))
        run()
        texts.append((tmp_path / "results/comparison/loss_terms.md").read_text())
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.usefixtures("no_figures")
def test_what_was_not_judged_of_the_order_is_said(run, tmp_path, write_results, write_records, capsys):
    aps = {arm: [ap - 0.1, ap + 0.1] for arm, (ap,) in APS.items()} | {"both": [56.9, 57.1]}
    for folder in ("results", "reference/shapes"):
        write_results(tmp_path / folder, aps)
        write_records(tmp_path / folder)
    assert run() == 0
    said = capsys.readouterr().out
    assert (
        "order not judged: projection + pairwise < full masks in the reference (57.0, 60.0), within the noise" in said
    )
    assert "The results agree with the reference. 9 pairwise orders could be judged; all match." in said
    assert "Tolerance: 4.0 AP per seed for an arm at 50 AP, ASSUMED" in said


@pytest.mark.usefixtures("no_figures")
def test_results_of_another_recipe_are_not_compared(run, tmp_path, write_results, write_records, capsys):
    write_results(tmp_path / "reference/shapes", APS)
    write_results(tmp_path / "results", {"full": [5.0]})
    write_records(tmp_path / "results", recipe="people")
    assert run() == 0
    assert "No reference for recipe `people`" in capsys.readouterr().out


@pytest.mark.usefixtures("no_figures")
def test_other_settings_than_the_reference_are_said(run, tmp_path, write_results, write_records, capsys):
    for folder, epochs in (("results", 1), ("reference/shapes", 16)):
        write_results(tmp_path / folder, APS)
        write_records(tmp_path / folder, epochs=epochs)
    assert run() == 0
    assert "box as mask: other settings: training.epochs: 16 -> 1" in capsys.readouterr().out


def test_bad_input_is_named_and_ends_with_code_2(run, tmp_path, write_results, capsys):
    assert run() == 2
    assert "results: no <study>.csv" in capsys.readouterr().err
    path = write_results(tmp_path / "results", APS)
    path.write_text("study,arm,trial_key\nloss_terms,both,x\n")
    assert run() == 2
    assert "results/loss_terms.csv: columns missing: seed" in capsys.readouterr().err


def test_a_study_with_a_figure_of_its_own_has_the_same_files(run, tmp_path, write_study, write_edge_purity):
    aps = {"color_threshold=0": [40.0], "color_threshold=0.3": [50.0]}
    file = write_study(tmp_path / "results", "color_threshold", aps)
    write_edge_purity(tmp_path / "results", {0.0: (1.0, 0.9), 0.3: (0.5, 1.0)})
    assert run("--study-files", str(file.parent)) == 0
    written = {path.name for folder in ("tables", "plots") for path in (tmp_path / "results" / folder).glob("*.*")}
    assert written == {
        *(f"color_threshold.{kind}" for kind in ("md", "csv", "tex", "png", "svg")),
        *(f"color_threshold_{figure}.{kind}" for figure in ("sizes", "ious", "curves") for kind in ("png", "svg")),
        "color_threshold_pictures.png",
    }


def test_a_study_whose_trials_all_failed_has_the_same_files_and_they_say_so(run, tmp_path, write_study, monkeypatch):
    file = write_study(tmp_path / "results", "color_threshold", {"color_threshold=0": [None]}, failed_records=True)
    said = []
    monkeypatch.setattr("analysis.drawing.empty_figure", lambda text: said.append(text) or empty_figure(text))
    assert run("--study-files", str(file.parent)) == 0
    written = {path.name for path in (tmp_path / "results/plots").glob("*.*")}
    assert written == {
        *(
            f"color_threshold{figure}.{kind}"
            for figure in ("", "_sizes", "_ious", "_curves")
            for kind in ("png", "svg")
        ),
        "color_threshold_pictures.png",
    }
    assert set(said) == {"no finished trial"}
    assert (tmp_path / "results/comparison/color_threshold.md").exists()


@pytest.mark.usefixtures("no_figures")
def test_an_arm_that_failed_here_on_other_data_is_not_missing(run, tmp_path, write_study):
    aps = {"dice": [60.0], "redesigned": [60.0]}
    failed = {arm: [None] for arm in aps}
    file = write_study(tmp_path / "results", "redesigned_loss", failed, failed_records=True)
    write_study(tmp_path / "reference/shapes", "redesigned_loss", aps)
    compared = tmp_path / "results/comparison/redesigned_loss.md"
    assert run("--study-files", str(file.parent)) == 0
    assert "Arms: Dice on true masks, projection + pairwise" in compared.read_text()
    write_study(tmp_path / "results", "redesigned_loss", failed, failed_records=True, digest="another")
    assert run("--study-files", str(file.parent)) == 0
    assert "other settings: seed 0: ran out of memory; data digest: d1 -> another" in compared.read_text()


@pytest.mark.usefixtures("no_figures")
def test_a_malformed_study_keeps_no_other_from_being_written(run, tmp_path, write_study, capsys):
    for name, arm in (("redesigned_loss", "dice"), ("warmup", "pairwise_warmup=0")):
        file = write_study(tmp_path / "results", name, {arm: [50.0]})
    path = tmp_path / "results/redesigned_loss.csv"
    path.write_text(path.read_text().replace("50.0", "fifty"))
    assert run("--study-files", str(file.parent)) == 2
    assert (tmp_path / "results/tables/warmup.md").exists()
    assert (tmp_path / "results/comparison/warmup.md").exists()
    assert "redesigned_loss.csv: column mask_AP, row 2: 'fifty' is not a number" in capsys.readouterr().err


def test_a_price_that_is_no_number_above_zero_is_refused(run, tmp_path, write_results, capsys):
    write_results(tmp_path / "results", APS)
    assert run("--seconds-per-box", "0") == 2
    assert "seconds_per_box is 0.0, expected more than 0" in capsys.readouterr().err


def test_all_tables_of_a_folder_are_written_at_once(tmp_path, write_results, write_records, write_edge_purity, study):
    write_results(tmp_path / "results", APS)
    write_records(tmp_path / "results")
    write_edge_purity(tmp_path / "results", {0.0: (1.0, 0.9), 0.3: (0.5, 1.0)})
    write_tables(tmp_path / "results", tmp_path / "studies")
    names = {path.name for path in (tmp_path / "results" / "tables").iterdir()}
    stems = ("loss_terms", "published_main", "published_voc", "published_zoo", "published_rivals")
    assert names >= {f"{stem}.{kind}" for stem in stems for kind in ("md", "csv", "tex")}
    assert names >= {"edge_purity.md", "edge_purity.csv"}


@pytest.mark.usefixtures("no_figures")
def test_the_report_returns_verdict_and_table(tmp_path, monkeypatch, write_results, study):
    monkeypatch.chdir(tmp_path)
    write_results(tmp_path / "results", APS)
    report = report_study(tmp_path / "studies" / "loss_terms.yaml", tmp_path / "results", None)
    assert report.verdict.holds is None  # one seed
    assert report.table["mask_AP"]["both"] == 50.0


def test_a_study_outside_of_the_set_has_all_files_and_they_say_so(run, tmp_path, write_study, capsys):
    file = write_study(tmp_path / "results", "warmup", {"pairwise_warmup=0": [50.0]}, header="question: How long?")
    assert run("--study-files", str(file.parent)) == 0
    written = {path.relative_to(tmp_path) for path in (tmp_path / "results").rglob("warmup*.*")}
    shutil.rmtree(tmp_path / "results/warmup")
    for folder in ("tables", "plots", "metrics", "comparison"):
        shutil.rmtree(tmp_path / "results" / folder)
    header = (tmp_path / "results/warmup.csv").read_text().splitlines()[0]
    (tmp_path / "results/warmup.csv").write_text(f"{header}\n")
    capsys.readouterr()
    assert run("--study-files", str(file.parent), "--studies", "warmup") == 0
    assert "Not part of the set: this study was not run." in capsys.readouterr().out
    assert {path.relative_to(tmp_path) for path in (tmp_path / "results").rglob("warmup*.*")} == written
    assert "How long?" in (tmp_path / "results/tables/warmup.md").read_text()
    assert (tmp_path / "results/metrics/warmup.json").read_text() == "{}\n"
    assert gate(["--study-files", str(file.parent), "--studies", "warmup"]) == 0
    assert "warmup: not part of the set; nothing was compared" in capsys.readouterr().out
    assert run("--study-files", str(file.parent)) == 2  # of all that have results there is none
