"""A record names the git revision of its checkout, and of no other repository; if it cannot, a warning says why."""

import os
import subprocess
from pathlib import Path

import pytest

from experiments.provenance import git_state


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit, in a folder whose name a shell would split."""
    root = tmp_path / "my project"
    root.mkdir()
    (root / "a.txt").write_text("a")
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "m"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def test_the_revision_and_whether_files_differ_from_it(checkout: Path) -> None:
    revision, dirty = git_state(checkout)
    assert (len(revision), dirty) == (40, False)
    (checkout / "a.txt").write_text("b")
    assert git_state(checkout) == (revision, True)


def test_files_within_another_repository_have_no_revision(checkout: Path) -> None:
    (checkout / "unpacked").mkdir()
    assert git_state(checkout / "unpacked") == (None, False)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_a_checkout_of_another_user_is_named_with_the_way_out(checkout: Path, caplog, monkeypatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 1234, 1234)
    assert git_state(checkout) == (None, False)
    assert "records will not name the git revision: fatal: detected dubious ownership" in caplog.text
    assert f"git config --global --add safe.directory '{checkout}'" in caplog.text


def test_a_machine_without_git_is_named(checkout: Path, caplog, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state(checkout) == (None, False)
    assert "records will not name the git revision: git cannot be started" in caplog.text
