import json
import re
import shutil
from pathlib import Path

import pytest

from analysis.publish import main as publish
from analysis.reference.checksums import CHECKSUMS, check_checksums, write_checksums
from analysis.report import main as report

APS = {"projection": [30.0, 31.0], "full": [60.0, None]}
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with one published recipe, to be copied."""
    return tmp_path_factory.mktemp("published")


@pytest.fixture(autouse=True)
def no_plots(monkeypatch, request):
    """Leaves the plots out, which take most of the time; `test_plots.py` verifies them."""
    for place in ("analysis.report", "analysis.publish"):
        monkeypatch.setattr(f"{place}.draw_from_records", lambda *arguments: None)
    monkeypatch.setattr("analysis.reference.verify.plot_differences", lambda *arguments: ())


@pytest.fixture
def reference(published, tmp_path, monkeypatch, study, write_traced):
    """reference/shapes as published from made-up results, with its study file in studies/."""
    monkeypatch.chdir(tmp_path)
    if not (published / "shapes").exists():
        write_traced(tmp_path / "results", APS)
        assert publish(["results", str(published / "shapes"), "--study-files", "studies"]) == 0
    shutil.copytree(published / "shapes", tmp_path / "reference/shapes")
    return tmp_path / "reference/shapes"


def verify(capsys):
    """Exit code and printed lines."""
    capsys.readouterr()
    code = report(["--verify", "--study-files", "studies"])
    return code, capsys.readouterr().out


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def a_record(reference: Path, arm: str = "projection") -> Path:
    paths = sorted((reference / "loss_terms/trials").glob("*.json"))
    return next(path for path in paths if json.loads(path.read_text())["arm"] == arm)


def test_what_was_published_verifies(reference, capsys):
    code, said = verify(capsys)
    assert code == 0, said
    assert "1 result files, 4 trial records" in said
    assert "all equal" in said


@pytest.mark.parametrize("resealed", [False, True])
@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (
            "loss_terms.csv",
            "30.0",
            "30.1",
            "arm 'projection', seed 0, column mask_AP: committed '30.1', rebuilt '30.0'",
        ),
        ("loss_terms.csv", "projection,1", "projection,3", "arm 'projection', seed 3: no record for this row"),
        ("tables/loss_terms.md", "30.5", "30.6", "rebuilt '"),
        ("tables/loss_terms.csv", "30.5", "31.5", "rebuilt '"),
        ("tables/loss_terms.tex", "30.5", "30.4", "rebuilt '"),
        ("tables/loss_terms.md", "MemoryError", "MemoryErrors", "rebuilt '"),
    ],
)
def test_one_edited_digit_of_a_csv_or_table_fails_and_is_named(reference, capsys, file, old, new, told, resealed):
    edit(reference / file, old, new)
    if resealed:
        write_checksums(reference)
    code, said = verify(capsys)
    assert code == 1
    assert f"reference/shapes/{file}" in said
    assert told in said
    assert ("edited: SHA-256" in said) is not resealed


def test_of_a_long_line_the_surroundings_of_the_difference_are_shown(reference, capsys):
    edit(reference / "tables/loss_terms.md", "30.5", "30.6")
    _, said = verify(capsys)
    committed, rebuilt = re.search(r"committed '(.*)', rebuilt '(.*)'", said).groups()
    assert committed.replace("30.6", "30.5") == rebuilt
    assert len(committed[committed.index("30.6") + 3 :]) == 24  # from the first character that differs


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"mask_AP": 30.0', '"mask_AP": 30.1'),
        ('"loss/total": 2.125', '"loss/total": 2.126'),
        ('"seconds": 12.625', '"seconds": 12.624'),
        ('"pairwise": 1.0', '"pairwise": 1.1'),
        ("2.11.0", "2.12.0"),
    ],
)
def test_one_edited_digit_of_a_record_fails_and_is_named(reference, capsys, old, new):
    path = a_record(reference)
    edit(path, old, new)
    code, said = verify(capsys)
    assert code == 1
    assert f"{path.relative_to(reference.parents[1])}: edited" in said


def test_every_digit_of_a_record_is_held(reference):
    path = a_record(reference)
    text = path.read_text()
    for place in (match.start() for match in re.finditer(r"\d", text)):
        path.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
        assert [line.partition(": ")[0] for line in check_checksums(reference)] == [str(path)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            '"mask_AP": 30.0',
            '"mask_AP": 30.1',
            "arm 'projection', seed 0, column mask_AP: committed '30.0', rebuilt '30.1'",
        ),
        ('"pairwise": 1.0', '"pairwise": 1.1', "one of them was edited"),
        ('"seed": 0', '"seed": 5', "one of them was edited"),
        ('"star": 31.0', '"star": 31.5', "the mean of per_class is 30.25"),
    ],
)
def test_an_edited_record_is_told_although_its_checksum_was_renewed(reference, capsys, old, new, told):
    edit(a_record(reference), old, new)
    write_checksums(reference)
    code, said = verify(capsys)
    assert code == 1
    assert told in said


def test_a_record_that_is_missing_or_that_no_table_names_is_told(reference, capsys):
    path = a_record(reference)
    text = path.read_text()
    path.unlink()
    write_checksums(reference)
    code, said = verify(capsys)
    assert code == 1
    assert "reference/shapes/loss_terms.csv: arm 'projection', seed 0: no record for this row" in said
    path.write_text(text)
    edit(reference / "loss_terms.csv", (reference / "loss_terms.csv").read_text().splitlines()[1] + "\n", "")
    write_checksums(reference)
    code, said = verify(capsys)
    assert code == 1
    assert f"arm 'projection', seed 0: no row for this record ({path.name})" in said


def test_tables_and_records_that_belong_to_nothing_are_told(reference, capsys):
    (reference / "tables/warmup.md").write_text("| 99.9 |\n")
    shutil.copytree(reference / "loss_terms", reference / "warmup")
    (reference / "tables/loss_terms.tex").unlink()
    write_checksums(reference)
    code, said = verify(capsys)
    assert code == 1
    assert "reference/shapes/tables/warmup.md: not given by the records" in said
    assert "reference/shapes/warmup/trials: records of a study without warmup.csv" in said
    assert "reference/shapes/tables/loss_terms.tex: missing; the records give it" in said


@pytest.fixture
def with_other_cpu(reference, tmp_path, write_traced):
    """The published recipe with seed 0 on another type of CPU."""
    write_traced(tmp_path / "other", {"projection": [30.5], "full": [60.5]}, device="cpu aarch64")
    assert publish(["other", str(reference), "--other-cpu", "--study-files", "studies"]) == 0
    return reference


def test_trials_on_another_type_of_cpu_are_verified_too(with_other_cpu, capsys):
    code, said = verify(capsys)
    assert code == 0, said
    assert "2 result files, 6 trial records" in said


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("loss_terms.csv", ",30.5,", ",30.6,", "arm 'projection', seed 0, column mask_AP: committed '30.6'"),
        (
            "record",
            "cpu aarch64",
            "cpu x86_64",
            "arm 'projection', seed 0: ran on cpu x86_64 like the reference itself",
        ),
        ("record", '"seconds": 12.625', '"seconds": 12.6', "edited: SHA-256"),
    ],
)
def test_an_edit_of_the_trials_on_another_type_of_cpu_is_told(with_other_cpu, capsys, file, old, new, told):
    folder = with_other_cpu / "other_cpu"
    edit(a_record(folder) if file == "record" else folder / file, old, new)
    code, said = verify(capsys)
    assert code == 1
    assert told in said


def test_trials_on_another_type_of_cpu_without_their_csv_or_their_reference_are_told(with_other_cpu, capsys):
    csv = with_other_cpu / "other_cpu/loss_terms.csv"
    csv.rename(csv.with_name("warmup.csv"))
    shutil.copytree(csv.with_suffix(""), csv.with_name("warmup"))
    code, said = verify(capsys)
    assert code == 1
    assert "other_cpu/loss_terms/trials: records of a study without loss_terms.csv" in said
    assert "other_cpu/warmup.csv: the reference itself has no warmup.csv" in said


def test_malformed_files_and_a_csv_without_records_fail_in_words(reference, capsys):
    path = a_record(reference)
    path.write_text(path.read_text()[:-5])
    code, said = verify(capsys)
    assert (code, "not valid JSON" in said) == (1, True)
    shutil.rmtree(reference / "loss_terms")
    code, said = verify(capsys)
    assert (code, "so its numbers cannot be traced" in said) == (1, True)


def test_one_recipe_s_folder_is_verified_alone_without_its_tables(reference, capsys):
    assert report(["--verify", "--reference", str(reference), "--study-files", "studies"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1  # and nothing of README.md


def test_nothing_to_verify_is_an_error(reference, tmp_path, capsys):
    assert report(["--verify", "--reference", str(tmp_path / "nowhere"), "--study-files", "studies"]) == 2
    assert "nowhere: no folder with a <study>.csv" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob(f"reference/*/{CHECKSUMS}")))
def test_the_records_of_this_project_give_its_tables(name, capsys):
    folder, study_files = ROOT / "reference" / name, ROOT / "experiments/studies"
    code = report(["--verify", "--reference", str(folder), "--study-files", str(study_files)])
    assert code == 0, capsys.readouterr().out
