"""Tables and plots of every study that has results, and their comparison with the committed reference.

`python -m analysis.report` reads `results/` and `reference/`, writes `results/tables`, `results/plots` and
`results/comparison/<study>.md`, prints a summary and exits with 1 where results differ from the reference of the same
recipe. Per study: `tables/<study>.{md,csv,tex}`, `plots/<study>.{png,svg}`, `plots/<study>_sizes.{png,svg}`,
`plots/<study>_curves.{png,svg}` from records, `plots/<study>_pictures.png` from pictures. All are written, whatever
there is to show.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.labels import arm_label
from analysis.plots.curves import curves_figure
from analysis.plots.figures import empty_figure, save, sizes_figure, styled
from analysis.plots.pictures import contrasting_images, picture_columns, pictures_figure
from analysis.presentation import main_figure, study_table, study_verdict, table_files
from analysis.published_tables import comparison_files
from analysis.reference.compare import FAILURES, Comparison, compare
from analysis.reference.verify import report_verification
from analysis.results import finished, read_records, read_results, recipe_of, study_names
from analysis.scale import machine
from analysis.studies.annotation_budget import SOURCES, AnnotationCost
from analysis.studies.edge_purity import edge_purity_table, read_edge_purity
from analysis.studies.edge_purity import render_markdown as edge_purity_markdown
from analysis.study import add_choice, chosen_studies
from analysis.study_data import StudyData, read_study_data
from analysis.tables.study_table import markdown_table, number
from analysis.verdict import Verdict
from core.files.atomic import write_text
from core.record import Record

PICTURE_ROWS = 6
MEASUREMENT = "edge_purity"


@dataclass(frozen=True)
class StudyReport:
    text: str
    comparison: Comparison | None
    comparison_text: str
    files: tuple[Path, ...]
    verdict: Verdict
    table: pd.DataFrame


def report_study(
    study_file: Path, results_folder: Path, reference_folder: Path | None, cost: AnnotationCost | None = None
) -> StudyReport:
    """Write one study's tables and plots and compare it with `reference_folder`, or `reference/<its recipe>` for None.

    Raises:
        ValueError: if results, records, study file or published numbers are malformed.
    """
    name = study_file.stem
    data = read_study_data(study_file, results_folder, cost)
    texts = table_files(data)
    files = [results_folder / "tables" / file for file in texts]
    for path, text in zip(files, texts.values(), strict=True):
        write_text(path, text)
    table = study_table(data)
    files += draw_study(data, table, results_folder)

    recipe = recipe_of(data.records.values())
    folder = reference_folder or (Path("reference") / recipe if recipe else None)
    comparison, comparison_text = _compare(data, folder, recipe)
    compared = results_folder / "comparison" / f"{name}.md"
    write_text(compared, f"# Comparison with the reference\n\n{comparison_text}\n{_records_line(data.records)}\n")
    return StudyReport(texts[f"{name}.md"], comparison, comparison_text, (*files, compared), study_verdict(data), table)


def write_tables(results_folder: Path, study_files: Path) -> None:
    """Write every table that these results give: each study's, the edge purity's and, beside a study, the comparisons.

    Raises:
        ValueError: if a file is malformed.
    """
    names = study_names(results_folder)
    texts: dict[str, str] = comparison_files(results_folder, study_files) if names else {}
    for name in names:
        texts |= table_files(read_study_data(study_files / f"{name}.yaml", results_folder))
    if (results_folder / f"{MEASUREMENT}.csv").exists():
        frame = read_edge_purity(results_folder / f"{MEASUREMENT}.csv")
        texts[f"{MEASUREMENT}.md"] = edge_purity_markdown(frame)
        texts[f"{MEASUREMENT}.csv"] = edge_purity_table(frame).to_csv(float_format="%.6g", lineterminator="\n")
    for name, text in texts.items():
        write_text(results_folder / "tables" / name, text)


def draw_study(data: StudyData, table: pd.DataFrame, results_folder: Path) -> list[Path]:
    """Draw every figure of a study; one for which there is nothing to draw says why."""
    name, plots = data.study.name, results_folder / "plots"
    columns = picture_columns(results_folder / name / "pictures", table, data.results, data.study)
    images, caption = contrasting_images(columns, table, data.study, PICTURE_ROWS)
    with styled():
        files = save(main_figure(data, table), plots / name)
        sizes, curves, grid = (_nothing_to_draw(data, what) for what in ("results", "records", "pictures"))
        if len(finished(data.results)):
            sizes = sizes_figure(table, data.results, data.study, data.scale)
        if any(data.records_by_arm.values()):
            curves = curves_figure(data.records_by_arm, data.study)
        if images:
            grid = pictures_figure(columns, images, caption=caption)
        files += save(sizes, plots / f"{name}_sizes") + save(curves, plots / f"{name}_curves")
        files += save(grid, plots / f"{name}_pictures", ("png",))
    return files


def _records_line(records: dict[str, Record]) -> str:
    """What changes with every record, MLflow's run ids included: DVC then makes the page anew, which names them."""
    content = json.dumps({key: record.content() for key, record in records.items()}, sort_keys=True).encode()
    return f"Made from {len(records)} trial records, SHA-256 of all {hashlib.sha256(content).hexdigest()[:16]}."


def _nothing_to_draw(data: StudyData, what: str) -> Figure:
    return empty_figure(f"no {what} of the trials" if len(finished(data.results)) else "no finished trial")


def _compare(data: StudyData, folder: Path | None, recipe: str | None) -> tuple[Comparison | None, str]:
    study = data.study
    title = f"## {study.name.replace('_', ' ')}\n\n"
    if folder is None or not (folder / f"{study.name}.csv").exists():
        missing = (
            "no trial record names the recipe" if folder is None else f"{folder / (study.name + '.csv')}: no such file"
        )
        return None, f"{title}No reference for recipe `{recipe or 'unknown'}` ({missing}); nothing was compared.\n"
    reference = read_results(folder / f"{study.name}.csv")
    reference_records = read_records(reference, folder / study.name / "trials")
    comparison = compare(data.results, reference, study, records=data.records, reference_records=reference_records)
    return comparison, title + render_comparison(comparison, folder, data.records, reference_records)


def render_comparison(
    comparison: Comparison,
    folder: Path,
    records: dict[str, Record],
    reference_records: dict[str, Record],
) -> str:
    header = ["arm", "mask AP here", "in the reference", "difference", "largest of a seed", "seed ids", "verdict"]
    rows = [
        [
            arm_label(arm.arm),
            number(arm.ours),
            number(arm.reference),
            number(arm.ours - arm.reference, 2, sign="+"),
            number(arm.largest_gap, 2),
            " ".join(str(seed) for seed in arm.seeds),
            arm.verdict,
        ]
        for arm in comparison.arms
    ]
    lines = [f"Compared with `{folder}`, seed by seed.", "", markdown_table(header, rows), ""]
    lines += [f"- {arm_label(arm.arm)}: {arm.verdict}: {arm.detail}" for arm in comparison.arms if arm.detail]
    lines += [f"- ORDER CHANGED: {change}" for change in comparison.order_changes]
    lines += [f"- order not judged, no further apart than the tolerance: {pair}" for pair in comparison.close_pairs]
    lines += [""] if lines[-1] else []
    failed = [arm_label(arm.arm) for arm in comparison.arms if arm.verdict in FAILURES]
    unjudged = [arm_label(arm.arm) for arm in comparison.arms if arm.verdict in ("other settings", "no common seed")]
    if comparison.holds and len(unjudged) == len(comparison.arms):
        lines += ["Nothing could be judged: settings or data are not those of the reference."]
    elif comparison.holds and unjudged:
        lines += [f"Not judged: {', '.join(unjudged)}. What could be judged agrees with the reference."]
    elif comparison.holds:
        order = "what could be judged of the order of the arms" if comparison.close_pairs else "the order of the arms"
        lines += [f"The results agree with the reference, and {order} is the same."]
    else:
        problem = f" Arms: {', '.join(failed)}." if failed else ""
        lines += [f"The results DO NOT AGREE with the reference.{problem}"]
    lines += ["", f"Here: {_machines(records)}. Reference: {_machines(reference_records)}."]
    return "\n".join(lines) + "\n"


def _machines(records: dict[str, Record]) -> str:
    """Devices and versions that the records name, each once; what equality to the bit depends on."""
    described = []
    for record in records.values():
        versions = (f"{name} {version}" for name, version in sorted(record.versions.items()))
        described.append(", ".join([machine(record), *versions]))
    return "; ".join(dict.fromkeys(described)) or "no records"


def main(arguments: list[str] | None = None) -> int:
    """Report and compare; 0 where all agrees or there is nothing to compare with, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="what the pipeline wrote")
    parser.add_argument(
        "--reference", type=Path, help="folder to compare with; default: reference/<recipe of the trials>"
    )
    add_choice(parser)
    parser.add_argument(
        "--study-files", type=Path, default=Path("experiments/studies"), help="folder of the study files"
    )
    parser.add_argument(
        "--seconds-per-box", type=float, default=AnnotationCost.seconds_per_box, help="of annotation; default: 7"
    )
    parser.add_argument(
        "--seconds-per-mask",
        type=float,
        default=AnnotationCost.seconds_per_mask,
        help=f"default: 79.2. Sources: {SOURCES}",
    )
    parser.add_argument(
        "--verify", action="store_true", help="only rebuild every table of the reference from its trial records"
    )
    options = parser.parse_args(arguments)

    try:
        names = chosen_studies(options) or study_names(options.results)
        if options.verify:
            return report_verification(options.reference or Path("reference"), options.study_files, write_tables)
        cost = AnnotationCost(options.seconds_per_box, options.seconds_per_mask)
        if not names:
            raise ValueError(f"{options.results}: no <study>.csv; has a study run?")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    reports, errors = [], []
    for name in names:
        try:
            study_file = options.study_files / f"{name}.yaml"
            reports.append(report_study(study_file, options.results, options.reference, cost))
        except ValueError as error:  # the other studies are reported all the same
            errors.append(error)
    for report in reports:
        print(f"{report.text}\n{report.comparison_text}")
    print("Written:")
    for path in (path for report in reports for path in report.files):
        print(f"  {path}")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if errors:
        return 2
    return 0 if all(report.comparison is None or report.comparison.holds for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
