"""Tables and plots of every study that has results, and their comparison with the committed reference.

`python -m analysis.report` reads `results/` and `reference/`, writes `results/tables`, `results/plots` and
`results/comparison/<study>.md`, prints a summary and exits with 1 where
results differ from the reference of the same recipe.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.comparison import FAILURES, Comparison, compare
from analysis.pictures import picture_columns, pictures_figure, shared_images
from analysis.plots import arms_figure, curves_figure, save, styled
from analysis.published import read_published
from analysis.results import finished, read_records, read_results, recipe_of
from analysis.study import Study, arm_label, load_study
from analysis.tables import arm_table, markdown_table, number, order_sentence, render_markdown, scale_sentence

PICTURE_ROWS = 6


@dataclass(frozen=True)
class StudyReport:
    text: str
    comparison: Comparison | None
    comparison_text: str
    files: tuple[Path, ...]


def report_study(study_file: Path, results_folder: Path, reference_folder: Path | None) -> StudyReport:
    """Write one study's table and plots and compare it with `reference_folder`, or `reference/<its recipe>` for None.

    Raises:
        ValueError: if results, records, study file or published numbers are malformed.
    """
    name = study_file.stem
    results = read_results(results_folder / f"{name}.csv")
    records = read_records(results, results_folder / name / "trials")
    study = load_study(study_file, results["arm"].tolist())
    published = read_published()
    table = arm_table(results, study, published)
    scale = scale_sentence(next(iter(records.values()), None))
    text = render_markdown(table, study, scale=scale, order=order_sentence(results, study), published=published)

    tables = results_folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    (tables / f"{name}.md").write_text(text)
    table.to_csv(tables / f"{name}.csv", float_format="%.6g", lineterminator="\n")
    files = [tables / f"{name}.md", tables / f"{name}.csv"]
    files += _draw(table, results, study, published, records, scale=scale, results_folder=results_folder)

    recipe = recipe_of(records)
    folder = reference_folder or (Path("reference") / recipe if recipe else None)
    comparison, comparison_text = _compare(results, study, records, folder, recipe)
    compared = results_folder / "comparison" / f"{name}.md"
    compared.parent.mkdir(exist_ok=True)
    compared.write_text(f"# Comparison with the reference\n\n{comparison_text}")
    return StudyReport(text, comparison, comparison_text, (*files, compared))


def _draw(
    table: pd.DataFrame,
    results: pd.DataFrame,
    study: Study,
    published: pd.DataFrame,
    records: dict[str, dict[str, Any]],
    *,
    scale: str,
    results_folder: Path,
) -> list[Path]:
    plots = results_folder / "plots"
    by_arm: dict[str, list[dict[str, Any]]] = {arm: [] for arm in study.arms}
    for trial in finished(results).sort_values("seed").itertuples():
        if trial.trial_key in records:
            by_arm[trial.arm].append(records[trial.trial_key])
    columns = picture_columns(results_folder / study.name / "pictures", table, results, study)
    images = shared_images(columns, PICTURE_ROWS)
    with styled():
        files = save(arms_figure(table, results, study, published, scale), plots / study.name)
        if records:
            files += save(curves_figure(by_arm, study), plots / f"{study.name}_curves")
        if images:
            files += save(pictures_figure(columns, images), plots / f"{study.name}_pictures", ("png",))
    return files


def _compare(
    results: pd.DataFrame,
    study: Study,
    records: dict[str, dict[str, Any]],
    folder: Path | None,
    recipe: str | None,
) -> tuple[Comparison | None, str]:
    title = f"## {study.name.replace('_', ' ')}\n\n"
    if folder is None or not (folder / f"{study.name}.csv").exists():
        missing = (
            "no trial record names the recipe" if folder is None else f"{folder / (study.name + '.csv')}: no such file"
        )
        return None, f"{title}No reference for recipe `{recipe or 'unknown'}` ({missing}); nothing was compared.\n"
    reference = read_results(folder / f"{study.name}.csv")
    reference_records = read_records(reference, folder / study.name / "trials")
    comparison = compare(results, reference, study, records=records, reference_records=reference_records)
    return comparison, title + render_comparison(comparison, folder, records, reference_records)


def render_comparison(
    comparison: Comparison,
    folder: Path,
    records: dict[str, dict[str, Any]],
    reference_records: dict[str, dict[str, Any]],
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
    lines += [""] if lines[-1] else []
    failed = [arm_label(arm.arm) for arm in comparison.arms if arm.verdict in FAILURES]
    unjudged = [arm_label(arm.arm) for arm in comparison.arms if arm.verdict in ("other settings", "no common seed")]
    if comparison.holds and len(unjudged) == len(comparison.arms):
        lines += ["Nothing could be judged: settings or data are not those of the reference."]
    elif comparison.holds and unjudged:
        lines += [f"Not judged: {', '.join(unjudged)}. What could be judged agrees with the reference."]
    elif comparison.holds:
        lines += ["The results agree with the reference, and the order of the arms is the same."]
    else:
        problem = f" Arms: {', '.join(failed)}." if failed else ""
        lines += [f"The results DO NOT AGREE with the reference.{problem}"]
    lines += ["", f"Here: {_machines(records)}. Reference: {_machines(reference_records)}."]
    return "\n".join(lines) + "\n"


def _machines(records: dict[str, dict[str, Any]]) -> str:
    """Devices and versions that the records name, each once; what equality to the bit depends on."""
    described = []
    for record in records.values():
        versions = record.get("versions") or {}
        described.append(
            ", ".join([str(record.get("device", "?")), *(f"{k} {v}" for k, v in sorted(versions.items()))])
        )
    return "; ".join(dict.fromkeys(described)) or "no records"


def main(arguments: list[str] | None = None) -> int:
    """Report and compare; 0 where all agrees or there is nothing to compare with, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="what the pipeline wrote")
    parser.add_argument(
        "--reference", type=Path, help="folder to compare with; default: reference/<recipe of the trials>"
    )
    parser.add_argument("--studies", nargs="+", help="names; default: every CSV in the results")
    parser.add_argument(
        "--study-files", type=Path, default=Path("experiments/studies"), help="folder of the study files"
    )
    options = parser.parse_args(arguments)

    names = options.studies or sorted(path.stem for path in options.results.glob("*.csv"))
    try:
        if not names:
            raise ValueError(f"{options.results}: no <study>.csv; has a study run?")
        reports = [report_study(options.study_files / f"{n}.yaml", options.results, options.reference) for n in names]
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for report in reports:
        print(f"{report.text}\n{report.comparison_text}")
    print("Written:")
    for path in (path for report in reports for path in report.files):
        print(f"  {path}")
    return 0 if all(report.comparison is None or report.comparison.holds for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
