"""Counts of outcomes by kind, and of each distinct finding the smallest example."""

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.outcome import ACCEPTED, FINDINGS, REFUSED, Outcome
from tests.fuzz.pool import TRACE

COLUMNS = ("kind", "files", REFUSED, ACCEPTED, *FINDINGS, "slowest", "most memory")


@dataclass
class Finding:
    """Outcomes that are alike: same kind of file, same outcome, same place in the code."""

    outcome: Outcome  # of the smallest example
    example: Path
    size: int  # bytes of the example
    count: int = 1


@dataclass
class Report:
    """The outcomes of one kind of file. Examples are kept in `folder`, which starts empty."""

    kind: str
    seed: int
    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    slowest: float = 0.0
    memory_mb: float = 0.0

    def add(self, outcome: Outcome, case_folder: Path) -> None:
        self.counts[outcome.what] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        self.memory_mb = max(self.memory_mb, outcome.memory_mb)
        if not outcome.is_finding:
            return
        error = outcome.detail.partition(":")[0]
        key = (outcome.what, outcome.place, error)
        size = sum(path.stat().st_size for path in case_folder.rglob("*") if path.is_file() and path.name != TRACE)
        known = self.findings.get(key)
        if known is not None:
            known.count += 1
            if size >= known.size:
                return
            shutil.rmtree(known.example)
        example = self.folder / f"{self.kind}-{self.seed}-{outcome.number}"
        shutil.copytree(case_folder, example)
        self.findings[key] = Finding(outcome, example, size, known.count if known else 1)

    def row(self) -> dict[str, str]:
        numbers = {name: str(self.counts[name]) for name in (REFUSED, ACCEPTED, *FINDINGS)}
        extremes = {"slowest": f"{self.slowest:.1f} s", "most memory": f"{self.memory_mb:.0f} MB"}
        return {"kind": self.kind, "files": str(self.counts.total())} | numbers | extremes

    def lines(self) -> list[str]:
        """Each finding with its count, its smallest example and the command that replays it."""
        lines = []
        for finding in sorted(self.findings.values(), key=lambda finding: -finding.count):
            outcome = finding.outcome
            lines += [
                f"{self.kind}: {outcome.what}, {finding.count} times, at {outcome.place or 'an unknown place'}",
                f"  {outcome.detail}",
                f"  {finding.example}",
                f"  python -m tests.fuzz {self.kind} --seed {self.seed} --start {outcome.number} --count 1",
            ]
        return lines


def table(reports: list[Report]) -> str:
    """Markdown, one line a kind."""
    rows = [report.row() for report in reports]
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *([row[name] for name in COLUMNS] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
