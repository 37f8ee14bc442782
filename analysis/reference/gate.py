"""The gate: do results agree with the committed reference of their recipe? `python -m analysis.reference`.

Prints one line per study and a summary, writes them to `results/comparison_summary.md`, and exits with status 1 if a
study differs, a trial is missing, or an order that is certain in the reference is reversed. A recipe without reference
does not fail; its line says so. `python -m analysis.report` writes the tables behind these lines.
"""

import argparse
import sys
from pathlib import Path

from analysis.reference.study_comparison import StudyComparison, compare_study, left_out
from analysis.results import has_trials, is_study, study_names
from analysis.study import add_choice, chosen_studies
from analysis.study_data import read_study_data
from core.compute.command import WRONG_INPUT, run_command
from core.files.atomic import write_text

SUMMARY = Path("comparison_summary.md")


def judge_study(study_file: Path, results_folder: Path, reference_folder: Path | None) -> StudyComparison | str:
    """The comparison of a study; a message if the study has no results.

    Raises:
        ValueError: if results, records, study file or reference are malformed.
    """
    csv = results_folder / f"{study_file.stem}.csv"
    if not csv.exists():
        return f"MISSING: {csv}: no such file; `python -m experiments.run {study_file.stem}` writes it"
    if is_study(csv) and not has_trials(csv):
        return left_out(study_file.stem)
    return compare_study(read_study_data(study_file, results_folder), reference_folder)


def summarize(found: dict[str, StudyComparison | str]) -> str:
    """One sentence about all studies."""
    compared = [study for study in found.values() if isinstance(study, StudyComparison)]
    failed = [name for name, study in found.items() if isinstance(study, str) or not study.holds]
    judged = sum(study.comparison is not None and study.comparison.judged for study in compared)
    if failed:
        return f"{len(failed)} of {len(found)} studies DO NOT AGREE with the reference: {', '.join(failed)}."
    if not judged:
        return f"0 of {len(found)} studies could be compared with a reference; nothing failed."
    rest = f" {len(found) - judged} could not be compared." if judged < len(found) else ""
    return f"{judged} of {len(found)} studies agree with the reference.{rest}"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if all studies agree or have no reference, 1 otherwise, 2 for invalid input."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.reference", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="output folder of the pipeline")
    parser.add_argument(
        "--reference", type=Path, help="folder to compare with (default: reference/<recipe of the trials>)"
    )
    add_choice(parser)
    options = parser.parse_args(arguments)
    return run_command(lambda: judge_studies(options))


def judge_studies(options: argparse.Namespace) -> int:
    """Compare the chosen studies and write the summary; returns the exit status.

    Raises:
        ValueError: if there is no study.
    """
    found: dict[str, StudyComparison | str] = {}
    errors = []
    names = chosen_studies(options) or study_names(options.results)
    if not names:
        raise ValueError(f"{options.results}: no <study>.csv; `python -m experiments.run <study>` writes one")
    for name in names:
        try:
            found[name] = judge_study(options.study_files / f"{name}.yaml", options.results, options.reference)
        except ValueError as error:  # the other studies are still compared
            errors.append(error)
    lines = [f"{name}: {study if isinstance(study, str) else study.line}" for name, study in found.items()]
    tolerances = dict.fromkeys(
        study.noise.sentence for study in found.values() if isinstance(study, StudyComparison) and study.noise
    )
    summary = summarize(found)
    print("\n".join([*lines, *tolerances, summary]))
    text = ["# Comparison with the reference", "", *(f"- {line}" for line in lines), ""]
    text += [part for sentence in tolerances for part in (sentence, "")] + [summary]
    text += [f"Not compared: {error}" for error in errors]
    write_text(options.results / SUMMARY, "\n".join(text) + "\n")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if errors:
        return WRONG_INPUT
    return 1 if any(isinstance(study, str) or not study.holds for study in found.values()) else 0
