"""The command `boxinst`: hands over to the commands of the library, and says how to get the suite."""

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

import boxinst.__main__ as command
from boxinst.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[2]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n  {name} " in listed for name in [*COMMANDS, "study"])


@pytest.mark.parametrize("arguments", [[], ["predict"]], ids=["none", "unknown"])
def test_without_a_command_it_says_which_there_are(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "usage: boxinst COMMAND" in said
    assert ("no command 'predict'" in said) == bool(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_options_and_status_are_those_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--root", str(tmp_path)]) != 0
    assert "instances_train.json" in "".join(capsys.readouterr())


def test_a_study_outside_of_the_project_says_where_to_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", "loss_terms"]) == 2
    assert "no clone of the project: it has no experiments/run.py" in capsys.readouterr().err


def test_a_study_without_the_suite_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(command, "find_spec", lambda name: None if name in ("ray", "dvc") else sys)
    assert main(["study", "loss_terms"]) == 2
    assert "error: study: ray, dvc not installed; `pip install -e '.[suite]'`" in capsys.readouterr().err


def test_a_study_becomes_the_command_of_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, list[str]]] = []

    def become(program: str, words: list[str]) -> NoReturn:
        started.append((program, words))
        raise SystemExit

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(command.os, "execv", become)
    with pytest.raises(SystemExit):
        main(["study", "loss_terms", "--dry-run"])
    assert started == [(sys.executable, [sys.executable, "-m", "experiments.run", "loss_terms", "--dry-run"])]


def test_the_help_does_not_wait_for_torch() -> None:
    code = "import sys; from boxinst.__main__ import main; main(['--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_the_package_names_what_is_public() -> None:
    import boxinst

    assert all(getattr(boxinst, name).__name__ == name for name in boxinst.__all__)
    assert dir(boxinst) == boxinst.__all__
    with pytest.raises(AttributeError, match="no attribute 'Predictr', expected one of BoxMasks, Edges"):
        boxinst.Predictr  # noqa: B018
