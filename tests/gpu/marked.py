"""The tests that are marked `gpu`, run by pytest in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MARK = "pytest.mark." + "gpu"  # not a text that this file contains, since files are searched for it
LIMIT = 240  # seconds
NOTHING_RAN = 5  # pytest's exit status
COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
RUN = """
import sys, pytest

class LeftOut:
    count = 0
    def pytest_deselected(self, items):
        self.count += sum(item.get_closest_marker("gpu") is not None for item in items)

left_out = LeftOut()
status = pytest.main(sys.argv[1:], plugins=[left_out])
print(f"{left_out.count} skipped")
sys.exit(status)
"""


def marked_tests(root: Path = ROOT) -> dict[str, Any]:
    """Run them; where there is no GPU, `tests/conftest.py` leaves them out, and they count as skipped.

    Only files with such tests are collected: others import what this check does without.
    """
    files = sorted(
        str(path.relative_to(root)) for path in (root / "tests").rglob("test_*.py") if MARK in path.read_text()
    )
    command = [sys.executable, "-c", RUN, "-m", "gpu", "--tb=short", "-p", "no:cacheprovider", "-rfE", *files]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"passed": False, "error": f"not done after {LIMIT} s", "files": files}
    lines = done.stdout.strip().splitlines()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for number, kind in COUNTS.findall(" ".join(lines[-2:])):
        name = {"error": "failed", "errors": "failed"}.get(kind, kind)
        counts[name] += int(number)
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    output = [] if done.returncode in (0, NOTHING_RAN) else lines[-60:] + done.stderr.splitlines()[-20:]
    passed = done.returncode in (0, NOTHING_RAN) and not counts["failed"] and sum(counts.values()) > 0
    return {"passed": passed, "tests": counts, "failed_tests": failed, "files": files, "output": output}
