"""The pipeline's commands: names are quoted, an archive of a commit needs no git, and paths may have spaces."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from configobj import ConfigObj
from dvc.repo import Repo

ROOT = Path(__file__).parents[1]
HOSTILE = ["loss_terms; touch x; #", "x'; touch y; '", "$(touch x)", "`touch x`", "a b", "-rf"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pipeline with hostile names in its list of studies, in a folder whose name has a space."""
    root = tmp_path / "my project"
    root.mkdir()
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    text = (ROOT / "dvc.yaml").read_text()
    assert text.count("        - annotation_budget\n") == 1
    listed = "".join(f"        - {name!r}\n" for name in HOSTILE)
    (root / "dvc.yaml").write_text(text.replace("        - annotation_budget\n", listed))
    shutil.copy(ROOT / "params.yaml", root)
    Repo.init(str(root), no_scm=True).close()
    return root


def test_dvc_quotes_the_names_of_studies_in_commands(project: Path) -> None:
    with Repo(str(project)) as repo:
        commands = [stage.cmd for stage in repo.index.stages if stage.name.startswith(("study@", "report@"))]
    listed = [command for cmd in commands for command in (cmd if isinstance(cmd, list) else [cmd])]
    words = [shlex.split(command) for command in listed]
    for name in HOSTILE:
        assert ["python", "-m", "experiments.collect", "--study", name] in words
        assert ["python", "-m", "experiments.from_detections", "--study", name] in words
        assert ["python", "-m", "analysis.report", "--studies", name] in words


def test_an_archive_of_a_commit_tells_dvc_that_there_is_no_git(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    shutil.copy(ROOT / ".dvc" / "config", tmp_path / ".dvc")
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "m"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    archive = subprocess.run(["git", "archive", "HEAD", ".dvc/config"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "x"], cwd=tmp_path / "unpacked", input=archive.stdout, check=True)
    for root, found in ((tmp_path, None), (tmp_path / "unpacked", "true")):
        assert ConfigObj(str(root / ".dvc" / "config"))["core"].get("no_scm") == found


@pytest.mark.parametrize("name", ["my project", "it's $HOME", 'a "b" `c`'])
def test_make_passes_the_path_of_the_project_as_one_word(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    shutil.copy(ROOT / "Makefile", root)
    (root / ".venv").mkdir()
    (root / ".venv" / "ready").touch()
    os.utime(root / ".venv" / "ready", (2**31, 2**31))
    (root / "requirements.txt").touch()
    binaries = root / ".venv" / "bin"
    binaries.mkdir()
    for command in ("mlflow", "python"):
        (binaries / command).write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
        (binaries / command).chmod(0o755)
    done = subprocess.run(["make", "-s", "ui"], cwd=root, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.splitlines()[-1] == f"sqlite:///{root}/mlflow.db"
