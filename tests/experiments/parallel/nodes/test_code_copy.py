"""The code that nodes get: all that a trial imports, and nothing of what else lies here."""

import subprocess
import sys
from pathlib import Path

from experiments.code_digest import code_digest, trial_sources
from experiments.parallel.nodes.code_copy import copy_code
from experiments.provenance import current_code, package_versions


def test_the_copy_has_the_code_digest_of_this_folder_and_runs_elsewhere(tmp_path: Path) -> None:
    code = copy_code(tmp_path / "code")
    assert code_digest(trial_sources(code), package_versions(), code) == current_code()
    assert sorted(path.name for path in code.iterdir()) == ["core", "experiments"]
    assert not list(code.rglob("*.pyc"))
    assert sum(path.stat().st_size for path in code.rglob("*") if path.is_file()) < 10e6
    program = "import experiments.parallel.trainable as found; print(found.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(code)!r}); {program}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().startswith(str(code))
