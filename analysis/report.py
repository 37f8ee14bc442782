"""Tables and plots of every study that has results, and their comparison with the committed reference.

`python -m analysis.report` reads `results/` and `reference/`, writes `results/tables`, `results/plots` and
`results/comparison/<study>.md`, and prints the tables. A difference from the reference is not an error here; `python -m
analysis.reference` judges it. Per study: `tables/<study>.{md,csv,tex}`, `plots/<study>.{png,svg}` and
`plots/<study>_{sizes,ious,curves}.{png,svg}` from records and detections, `plots/<study>_pictures.png` from pictures;
for DVC `metrics/<study>.json` and `plots/data/<study>_{arms,curves}.csv`. Every file is written, even if there is
nothing to show.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.annotation_cost import SOURCES, AnnotationCost
from analysis.drawing import MEASUREMENT, draw_from_records, draw_study
from analysis.edge_counts import read_edge_purity
from analysis.left_out import NOT_PART, write_left_out
from analysis.metrics import metric_files
from analysis.plain_text import table_csv
from analysis.presentation import all_comparisons, study_table, study_verdict, table_files
from analysis.published_tables import comparison_files
from analysis.reference.seed_spread import with_spread
from analysis.reference.study_comparison import StudyComparison, compare_study, left_out
from analysis.reference.verify import report_verification
from analysis.results import has_trials, is_study, study_names
from analysis.studies.edge_purity import edge_purity_table
from analysis.studies.edge_purity import render_markdown as edge_purity_markdown
from analysis.study import add_choice, chosen_studies, load_study
from analysis.study_data import StudyData, read_study_data
from analysis.verdict import Verdict
from core.compute.command import WRONG_INPUT, leave, run_command
from core.files.atomic import write_text
from core.files.json_file import read_utf8


@dataclass(frozen=True)
class StudyReport:
    text: str
    comparison: StudyComparison
    files: tuple[Path, ...]
    verdict: Verdict
    table: pd.DataFrame


def report_study(
    study_file: Path, results_folder: Path, reference_folder: Path | None, cost: AnnotationCost | None = None
) -> StudyReport:
    """Write the tables and plots of a study and compare it with a reference, by default `reference/<recipe>`.

    Raises:
        ValueError: if results, records, study file or published numbers are malformed.
    """
    name = study_file.stem
    csv = results_folder / f"{name}.csv"
    if csv.exists() and is_study(csv) and not has_trials(csv):
        return _report_left_out(study_file, results_folder)
    data = with_spread(read_study_data(study_file, results_folder, cost), reference_folder)
    tables = table_files(data)
    texts = {f"tables/{file}": text for file, text in tables.items()} | metric_files(data)
    files = [results_folder / path for path in texts]
    for path, text in zip(files, texts.values(), strict=True):
        write_text(path, text)
    table = study_table(data)
    files += draw_study(data, table, results_folder)

    comparison = compare_study(data, reference_folder)
    compared = results_folder / "comparison" / f"{name}.md"
    write_text(compared, f"# Comparison with the reference\n\n{comparison.text}\n{_records_line(data)}\n")
    return StudyReport(tables[f"{name}.md"], comparison, (*files, compared), study_verdict(data), table)


def _report_left_out(study_file: Path, results_folder: Path) -> StudyReport:
    study = load_study(study_file, [])
    files = write_left_out(study, results_folder)
    text = read_utf8(results_folder / "tables" / f"{study.name}.md")
    return StudyReport(
        text, left_out(study.name), tuple(files), Verdict(f"N{NOT_PART[1:]}.", "not run"), pd.DataFrame()
    )


def write_tables(results_folder: Path, study_files: Path) -> None:
    """Write all tables of these results: one per study, edge purity and, if there is a study, published comparisons.

    Raises:
        ValueError: if a file is malformed.
    """
    names = study_names(results_folder)
    texts: dict[str, str] = comparison_files(results_folder, study_files) if names else {}
    studies = [read_study_data(study_files / f"{name}.yaml", results_folder) for name in names]
    for data in studies:
        texts |= table_files(data)
    texts |= all_comparisons(studies) if studies else {}
    if (results_folder / f"{MEASUREMENT}.csv").exists():
        frame = read_edge_purity(results_folder / f"{MEASUREMENT}.csv")
        texts[f"{MEASUREMENT}.md"] = edge_purity_markdown(frame)
        texts[f"{MEASUREMENT}.csv"] = table_csv(edge_purity_table(frame))
    for name, text in texts.items():
        write_text(results_folder / "tables" / name, text)


def _records_line(data: StudyData) -> str:
    """A line that changes with any record, so that DVC renders the page again, which shows their MLflow run ids.

    And with what their detections give, on which verdicts and figures depend.
    """
    content = json.dumps({key: record.content() for key, record in data.records.items()}, sort_keys=True)
    given = "".join(table.to_csv() for table in (data.resampled, data.mask_ious) if table is not None)
    digest = hashlib.sha256((content + given).encode()).hexdigest()[:16]
    return f"Made from {len(data.records)} trial records with SHA-256 {digest}."


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, even if results differ from the reference; 2 for invalid input; `--verify`: 1 for a difference."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="output folder of the pipeline")
    parser.add_argument(
        "--reference", type=Path, help="folder to compare with (default: reference/<recipe of the trials>)"
    )
    add_choice(parser)
    parser.add_argument(
        "--seconds-per-box",
        type=float,
        default=AnnotationCost.seconds_per_box,
        help="seconds to annotate a box (default: %(default)g)",
    )
    parser.add_argument(
        "--seconds-per-mask",
        type=float,
        default=AnnotationCost.seconds_per_mask,
        help=f"seconds to annotate a mask (default: %(default)g). Sources: {SOURCES}",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="only rebuild tables and plots of the reference from its records, compare them and README's numbers",
    )
    parser.add_argument(
        "--readme", type=Path, default=Path("README.md"), help="whose numbers to verify (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    return run_command(lambda: report_studies(options))


def report_studies(options: argparse.Namespace) -> int:
    """Report the chosen studies, or verify the reference; returns the exit status.

    Raises:
        ValueError: if there is no study, or nothing to verify.
    """
    if options.verify:
        return report_verification(
            options.reference or Path("reference"),
            options.study_files,
            (write_tables, draw_from_records),
            options.readme,
        )
    names = chosen_studies(options) or study_names(options.results)
    cost = AnnotationCost(options.seconds_per_box, options.seconds_per_mask)
    if not names:
        raise ValueError(f"{options.results}: no <study>.csv; `python -m experiments.run <study>` writes one")
    reports, errors = [], []
    for name in names:
        try:
            study_file = options.study_files / f"{name}.yaml"
            reports.append(report_study(study_file, options.results, options.reference, cost))
        except ValueError as error:  # the other studies are still reported
            errors.append(error)
    for report in reports:
        print(f"{report.text}\n{report.comparison.text}")
    print("Written:")
    for path in (path for report in reports for path in report.files):
        print(f"  {path}")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return WRONG_INPUT if errors else 0


if __name__ == "__main__":
    leave(main())
