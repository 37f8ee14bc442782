"""Read mutated input files and report what is not refused in a sentence: `python -m tests.fuzz [KIND ...]`.

Each file is read as the project reads it, under a limit of 5 s and 2 GiB. A case passes if the file is refused by a
ValueError that names it, or accepted and every later stage works with it. Exit status 1 if any other happens.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tqdm import tqdm

from tests.fuzz.annotations import Annotations
from tests.fuzz.checkpoints import Checkpoints
from tests.fuzz.images import Images
from tests.fuzz.pool import run_cases
from tests.fuzz.records import Records
from tests.fuzz.report import Report, table
from tests.fuzz.settings import Settings

KINDS = {kind.name: kind for kind in (Annotations, Settings, Records, Images, Checkpoints)}


def run(name: str, *, seed: int, start: int, count: int | None, shards: int, folder: Path) -> Report:
    """Run `count` cases (default: as many as the kind says) from number `start` on."""
    folder = folder / name
    shutil.rmtree(folder, ignore_errors=True)
    report = Report(name, seed, folder)
    with TemporaryDirectory() as place:
        kind = KINDS[name](Path(place, "shared"))
        numbers = range(start, start + (kind.count if count is None else count))
        outcomes = run_cases(kind, seed, numbers, Path(place), shards)
        for outcome, case_folder in tqdm(outcomes, desc=name, total=len(numbers), unit="file"):
            report.add(outcome, case_folder)
    return report


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)} (default: all)")
    parser.add_argument("--count", type=int, help="files of each kind (default: as many as the long form has)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files (default: %(default)s)")
    parser.add_argument("--start", type=int, default=0, help="number of the first file: to go on, or to replay one")
    parser.add_argument("--shards", type=int, default=1, help="processes side by side (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="for examples (default: %(default)s)")
    options = parser.parse_args(words)
    if unknown := [name for name in options.kinds if name not in KINDS]:
        parser.error(f"no kind {', '.join(unknown)}, expected some of {', '.join(KINDS)}")
    torch.set_num_threads(1)
    limits = {"seed": options.seed, "start": options.start, "count": options.count, "shards": options.shards}
    reports = [run(name, **limits, folder=options.folder) for name in options.kinds or KINDS]
    findings = [line for report in reports for line in report.lines()]
    print("\n".join([*findings, "", table(reports)]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
