"""Rebuild every table and plot of a reference from its trial records, and report each difference.

Three things must hold: no file was edited since it was published (SHA256SUMS), each record agrees with its own key and
numbers, and each CSV and table matches the records. The first check detects any edit, including curves and seconds; the
other two also detect edits with updated checksums, and name the row. Plots are drawn anew and compared, see
`analysis.reference.plots`; the numbers of README.md are held against the tables. Seed 0 on another type of CPU is
verified in the same way, and each of its trials must have the settings of the reference's own.
"""

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from analysis.mask_ious import mask_iou_faults
from analysis.reference.checksums import check_checksums
from analysis.reference.other_cpu import other_cpu_faults
from analysis.reference.plots import drawn_elsewhere, plot_differences, silent_grids, stale_grids
from analysis.reference.readme import CLAIMS, readme_differences
from analysis.reference.rebuild import contradictions, read_trials, rebuild_csv
from analysis.reference.trials import OTHER_CPU
from analysis.resampled_images import resampled_faults
from analysis.results import is_study
from core.files.json_file import read_utf8
from core.result_tables import MASK_IOUS, RESAMPLED_AP

CONTEXT = 24  # characters of a line shown on each side of a difference
# (results folder, study files): the first writes <results folder>/tables, the second <results folder>/plots
Rebuild = tuple[Callable[[Path, Path], None], Callable[[Path, Path], None]]


@dataclass(frozen=True)
class Verification:
    """`differences` has one line per difference; the counts say what was checked."""

    folder: Path
    differences: tuple[str, ...]
    num_records: int
    num_csvs: int
    num_tables: int
    num_plots: int
    remarks: tuple[str, ...] = ()  # what could not be verified, and why


def reference_folders(root: Path) -> list[Path]:
    """The folders of the recipes in a reference; `root` itself if it contains results.

    Raises:
        ValueError: if there is nothing to verify.
    """
    within = [root] if any(root.glob("*.csv")) else sorted(root.glob("[!.]*/"))  # a recipe's tables/ holds CSVs too
    folders = [folder for folder in within if any(folder.glob("*.csv"))]
    if not folders:
        raise ValueError(f"{root}: no folder with a <study>.csv; expected one such as {root / 'shapes'}")
    return folders


def verify_folder(folder: Path, study_files: Path, rebuild: Rebuild) -> Verification:
    """Verify the reference of one recipe; malformed files count as differences."""
    differences: list[str] = []
    remarks: list[str] = []
    num_records = num_plots = 0
    write_tables, draw_plots = rebuild
    csvs, others = sorted(folder.glob("*.csv")), sorted((folder / OTHER_CPU).glob("*.csv"))
    with TemporaryDirectory() as temporary:
        rebuilt = Path(temporary) / folder.name
        rebuilt.mkdir()
        try:
            differences += check_checksums(folder)
            for path in csvs:
                if is_study(path):
                    num_records += len(list((folder / path.stem / "trials").glob("*.json")))
                    differences += _rebuild_study(path, rebuilt)
                else:
                    shutil.copy(path, rebuilt)
            for path in others:
                num_records += len(list((path.parent / path.stem / "trials").glob("*.json")))
                differences += _rebuild_study(path, rebuilt / OTHER_CPU) + other_cpu_faults(folder, path.stem)
            differences += _records_without_csv(folder) + _records_without_csv(folder / OTHER_CPU)
            write_tables(rebuilt, study_files)
            differences += _compare_tables(folder / "tables", rebuilt / "tables")
            if elsewhere := drawn_elsewhere(folder / "plots"):
                remarks.append(elsewhere)
            else:
                draw_plots(rebuilt, study_files)
                num_plots = len(list((rebuilt / "plots").glob("*.*")))
                differences += plot_differences(folder / "plots", rebuilt / "plots")
            differences += stale_grids(folder).values()
            remarks += silent_grids(folder)
        except ValueError as error:
            differences.append(str(error).replace(str(rebuilt), f"{folder} (rebuilt)"))
        except KeyError as error:
            differences.append(f"{folder}: the tables cannot be rebuilt: a record or a CSV lacks {error}")
        num_tables = len(list((rebuilt / "tables").glob("*.*")))
    counts = num_records, len(csvs) + len(others), num_tables, num_plots
    return Verification(folder, tuple(differences), *counts, tuple(remarks))


def _rebuild_study(path: Path, target: Path) -> list[str]:
    """Rebuild the study's CSV from its records and write both to `target`; returns the differences."""
    records = read_trials(path.parent / path.stem)
    if not records:
        raise ValueError(f"{path}: no records in {path.parent / path.stem / 'trials'}, so its numbers cannot be traced")
    lines = [line for file, record in records.items() for line in contradictions(file, record)]
    committed = read_utf8(path)
    try:
        rebuilt = rebuild_csv(committed, list(records.values()))
    except ValueError as error:
        raise ValueError("\n".join([*lines, f"{path}: cannot be rebuilt: {error}"])) from error
    target.mkdir(exist_ok=True)
    (target / path.name).write_text(rebuilt)
    shutil.copytree(path.parent / path.stem / "trials", target / path.stem / "trials")
    for file, faults in ((RESAMPLED_AP, resampled_faults), (MASK_IOUS, mask_iou_faults)):
        if (table := path.parent / path.stem / file).exists():
            lines += faults(table, records.values())
            shutil.copy(table, target / path.stem)
    return lines + list(_csv_differences(path, committed, rebuilt))


def _records_without_csv(folder: Path) -> list[str]:
    studies = [trials.parent for trials in sorted(folder.glob("*/trials"))]
    return [
        f"{study / 'trials'}: records of a study without {study.name}.csv"
        for study in studies
        if not study.with_suffix(".csv").exists()
    ]


def _csv_differences(path: Path, committed: str, rebuilt: str) -> Iterator[str]:
    """Differences of a study's CSV by arm and seed; by line of text if those are equal."""
    theirs, ours = _by_trial(committed), _by_trial(rebuilt)
    reported = False
    for trial in dict.fromkeys([*theirs, *ours]):
        where = f"{path}: arm '{trial[0]}', seed {trial[1]}"
        if trial not in ours:
            yield f"{where}: no record for this row"
        elif trial not in theirs:
            yield f"{where}: no row for this record ({ours[trial]['trial_key']}.json)"
        else:
            for column in dict.fromkeys([*theirs[trial], *ours[trial]]):
                found, expected = theirs[trial].get(column), ours[trial].get(column)
                if found != expected:
                    yield f"{where}, column {column}: committed {found!r}, rebuilt {expected!r}"
                    reported = True
            continue
        reported = True
    if committed != rebuilt and not reported:
        yield from _line_differences(path, committed, rebuilt)


def _by_trial(text: str) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["arm"], row["seed"]): row for row in csv.DictReader(io.StringIO(text))}


def _compare_tables(committed: Path, rebuilt: Path) -> list[str]:
    names = sorted({path.name for folder in (committed, rebuilt) for path in folder.glob("*.*")})
    lines: list[str] = []
    for name in names:
        if not (rebuilt / name).exists():
            lines.append(f"{committed / name}: not given by the records")
        elif not (committed / name).exists():
            lines.append(f"{committed / name}: missing; the records give it")
        else:
            lines += _line_differences(committed / name, *(read_utf8(folder / name) for folder in (committed, rebuilt)))
    return lines


def _line_differences(path: Path, committed: str, rebuilt: str) -> Iterator[str]:
    theirs, ours = committed.split("\n"), rebuilt.split("\n")
    for kind, start, end, our_start, our_end in SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        pairs = zip_longest(theirs[start:end], ours[our_start:our_end])
        for number, (found, expected) in enumerate(pairs, start=start + 1):
            where = f"{path}, line {number}"
            if found is None:
                yield f"{where}: missing: {expected[: 4 * CONTEXT]!r}"
            elif expected is None:
                yield f"{where}: not given by the records: {found[: 4 * CONTEXT]!r}"
            else:
                place = _first_difference(found, expected)
                shown = slice(max(0, place - CONTEXT), place + CONTEXT)
                yield f"{where}, column {place + 1}: committed {found[shown]!r}, rebuilt {expected[shown]!r}"


def _first_difference(one: str, other: str) -> int:
    places = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(places) if a != b), min(len(one), len(other)))


def report_verification(root: Path, study_files: Path, rebuild: Rebuild, readme: Path) -> int:
    """Verify every recipe of a reference and print the result; returns 0 if all are equal, else 1.

    The numbers of `readme` are verified if the reference has phrases for them, see `analysis.reference.readme`.

    Raises:
        ValueError: if there is nothing to verify.
    """
    holds = True
    for folder in reference_folders(root):
        found = verify_folder(folder, study_files, rebuild)
        for line in (*found.differences, *(f"not verified: {remark}" for remark in found.remarks)):
            print(line)
        verdict = f"{len(found.differences)} DIFFERENCES" if found.differences else "all equal"
        print(
            f"{folder}: {found.num_csvs} result files, {found.num_records} trial records, {found.num_tables} tables "
            f"and {found.num_plots} plots rebuilt from them: {verdict}"
        )
        holds = holds and not found.differences
    if (root / CLAIMS).exists():
        lines = list(readme_differences(readme, root))
        print("\n".join([*lines, f"{readme}: {len(lines) or 'no'} difference{'' if len(lines) == 1 else 's'}"]))
        holds = holds and not lines
    return 0 if holds else 1
