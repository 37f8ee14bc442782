import shutil
from pathlib import Path

import pytest

from analysis.reference.gate import main

ROOT = Path(__file__).parents[3]
APS = {"box_mask": [12.0], "projection": [30.0], "pairwise": [1.0], "both": [50.0], "full": [60.0]}


@pytest.fixture
def gate(tmp_path, monkeypatch, study, write_results, write_records):
    """Judges results with these APs against reference/shapes of `APS`; returns the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(aps, *arguments, recipe="shapes", **records):
        write_results(tmp_path / "reference/shapes", APS)
        write_records(tmp_path / "reference/shapes")
        write_results(tmp_path / "results", aps)
        write_records(tmp_path / "results", recipe=recipe, **records)
        return main(["--study-files", "studies", *arguments])

    return run


def test_results_that_agree_pass_with_a_line_a_study_and_a_summary(gate, tmp_path, capsys):
    assert gate(APS) == 0
    line, tolerance, summary = capsys.readouterr().out.splitlines()
    assert line == "loss_terms: agrees: 5 equal; 0 pairwise orders judged"  # one seed holds no order with certainty
    assert tolerance.startswith("Tolerance: 4.0 AP per seed for an arm at 50 AP, ASSUMED")
    assert summary == "1 of 1 studies agree with the reference."
    text = (tmp_path / "results/comparison_summary.md").read_text()
    assert f"- {line}\n" in text
    assert text.endswith(f"{tolerance}\n\n{summary}\n")


def test_an_arm_that_differs_fails_and_is_named(gate, capsys):
    assert gate(APS | {"both": [45.0]}) == 1
    said = capsys.readouterr().out
    assert "loss_terms: DOES NOT AGREE: projection + pairwise differs (largest gap 5.00 mask AP, tolerance 4.0" in said
    assert said.endswith("1 of 1 studies DO NOT AGREE with the reference: loss_terms.\n")


def test_a_failed_trial_an_arm_and_a_study_that_did_not_run_fail(gate, capsys):
    assert gate(APS | {"both": [None]}) == 1
    assert "projection + pairwise missing (seed 0: ran out of memory)" in capsys.readouterr().out
    assert gate({"full": [60.0]}) == 1
    assert "projection + pairwise missing (the arm was not run)" in capsys.readouterr().out
    assert gate(APS, "--studies", "loss_terms", "warmup") == 1
    said = capsys.readouterr().out
    assert "warmup: MISSING: results/warmup.csv: no such file; `python -m experiments.run warmup` writes it" in said
    assert "1 of 2 studies DO NOT AGREE with the reference: warmup." in said


def test_a_recipe_without_a_reference_passes_and_says_so(gate, capsys):
    assert gate(APS, recipe="people") == 0
    said = capsys.readouterr().out
    assert (
        "loss_terms: no reference for recipe `people` (reference/people/loss_terms.csv: no such file); nothing was "
        "compared" in said
    )
    assert said.endswith("0 of 1 studies could be compared with a reference; nothing failed.\n")


def test_other_settings_pass_and_say_so(gate, capsys):
    assert gate(APS | {"both": [1.0]}, epochs=1) == 0
    said = capsys.readouterr().out
    assert "loss_terms: nothing could be judged: 5 other settings" in said
    assert said.endswith("0 of 1 studies could be compared with a reference; nothing failed.\n")


def test_malformed_input_is_named_and_keeps_no_other_study_from_being_judged(gate, tmp_path, capsys):
    assert main(["--results", "nowhere"]) == 2
    assert "nowhere: no <study>.csv" in capsys.readouterr().err
    (tmp_path / "results").mkdir()
    (tmp_path / "results/warmup.csv").write_text("study,arm,trial_key\nwarmup,a,x\n")
    assert gate(APS) == 2
    out, error = capsys.readouterr()
    assert "loss_terms: agrees" in out
    assert "results/warmup.csv: columns missing: seed" in error
    assert "results/warmup.csv: columns missing" in (tmp_path / "results/comparison_summary.md").read_text()


def test_a_turned_order_and_a_lost_arm_of_the_published_shapes_fail(tmp_path, monkeypatch, capsys):
    """The published study itself passes; BoxInst 5 AP worse fails, and so does full masks below it."""
    shutil.copytree(ROOT / "reference/shapes/loss_terms", tmp_path / "loss_terms")
    committed = (ROOT / "reference/shapes/loss_terms.csv").read_text()
    monkeypatch.chdir(ROOT)

    def judge(changes):
        rows = [line.split(",") for line in committed.splitlines()]
        column = rows[0].index("mask_AP")
        for row in rows:
            row[column] = changes.get((row[1], row[2]), row[column])
        (tmp_path / "loss_terms.csv").write_text(
            "".join(",".join(row) + "\n" for row in rows if row[2] in ("seed", "0"))
        )
        return main(["--results", str(tmp_path)])

    assert judge({}) == 0
    assert "10 pairwise orders judged, all as in the reference" in capsys.readouterr().out
    assert judge({("both", "0"): "45.8845"}) == 1
    assert "projection + pairwise differs" in capsys.readouterr().out
    assert judge({("both", "0"): "54.3", ("full", "0"): "54.2"}) == 1
    assert "order reversed: projection + pairwise < full masks in the reference (50.9, 57.6)" in capsys.readouterr().out
