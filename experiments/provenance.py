"""What a result was made from: the code, the package versions and the git revision."""

import logging
import platform
import shlex
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from experiments.code_digest import PACKAGES, ROOT, code_digest, trial_sources


@dataclass(frozen=True)
class Provenance:
    code: str  # digest of the code that a trial runs and of the versions of its packages
    versions: dict[str, str]
    git_revision: str | None  # None outside of a git repository
    git_dirty: bool  # whether tracked files differ from the revision


def provenance() -> Provenance:
    """Describe the code and package versions of this process."""
    versions = package_versions()
    return Provenance(code_digest(trial_sources(), versions), versions, *git_state())


def git_state(root: Path = ROOT) -> tuple[str | None, bool]:
    """The git revision of this checkout, None if it is none or git does not read it, and whether files differ from it.

    A warning gives git's reason, such as a checkout that belongs to another user.
    """
    if not (root / ".git").exists():  # else git would describe a repository around these files
        return None, False
    revision = _git(root, "rev-parse", "HEAD")
    # every run changes dvc.lock when it ends; that file affects no result
    dirty = revision and _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
    return revision or None, bool(dirty)


def package_versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def current_code() -> str:
    """Only the `code` of `provenance`: the digest of the files and packages as they are now."""
    return code_digest(trial_sources(), package_versions())


def _git(root: Path, *arguments: str) -> str:
    """What git prints; empty, with a warning, if it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:  # not installed, most often
        logging.warning("records will not name the git revision: git cannot be started (%s)", error.strerror)
        return ""
    if done.returncode == 0:
        return done.stdout.strip()
    reason = done.stderr.strip().partition("\n")[0]
    if "safe.directory" in done.stderr:
        reason += f"; to let git read it: git config --global --add safe.directory {shlex.quote(str(root))}"
    logging.warning("records will not name the git revision: %s", reason)
    return ""
