"""Every benchmark runs in its quick mode, and all come in one form."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import NAMES, main
from tests.benchmarks.form import Line, table

SLOW = {"sweep", "growth"}  # start processes, and wait for Ray


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES])
def test_a_benchmark_runs_quickly_and_tells_what_it_measured(name: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / "benchmarks.json"
    assert main([name, "--quick", "--json", str(path)]) == 0
    content = json.loads(path.read_text())
    assert content["quick"] is True
    assert content["machine"]["threads"] >= 1
    assert content["machine"]["versions"].keys() >= {"python", "torch"}
    lines = [Line(**line) for line in content["lines"]]
    assert any(line.reference for line in lines)
    assert table(lines) in capsys.readouterr().out


def test_a_line_has_its_reference_and_their_ratio() -> None:
    rows = table([Line("loss", 2.0, "ms", 8.0, "dense form"), Line("peak", 1234.5, "MiB")]).splitlines()
    assert rows[2:] == ["| loss | 2 ms | dense form: 8 ms | 1/4 |", "| peak | 1,234 MiB |  |  |"]


def test_a_benchmark_that_fails_is_named_and_the_others_are_told(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pairwise", "--quick"]) == 1  # from here, its module is not found
    assert "benchmark pairwise ended with status 1" in capfd.readouterr().err
    assert json.loads(Path("benchmarks.json").read_text())["lines"] == []


def test_what_is_no_benchmark_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["pairwize"])
    assert "no benchmark pairwize, expected some of evaluation, growth, inference" in capsys.readouterr().err


def test_every_benchmark_has_the_common_form() -> None:
    assert {"evaluation", "growth", "inference", "mask_head", "pairwise", "sweep", "training_image"} <= set(NAMES)
    for name in NAMES:
        assert callable(import_module(f"tests.benchmarks.bench_{name}").measure)
