"""The report of a study that is not part of the set: all its files exist and say so.

DVC expects the outputs of all studies. The stage of a study outside the set writes a CSV with a header and no rows.
"""

from pathlib import Path

from analysis.metrics import arms_csv, curves_csv, metrics_json
from analysis.plain_text import markdown_text
from analysis.plots.figures import FIGURES, empty_figure, styled
from analysis.plots.saving import save
from analysis.results import no_results
from analysis.study import Study
from analysis.tables.latex import latex_text
from core.files.atomic import write_text

NOT_PART = "not part of the set"


def left_out_texts(study: Study) -> dict[str, str]:
    """Tables, metrics, plot data and comparison, by path relative to the results folder."""
    name, title = study.name, study.name.replace("_", " ")
    text = f"N{NOT_PART[1:]}: this study was not run."
    lines = [f"# {title}", *([markdown_text(study.question)] if study.question else []), text]
    results = no_results()
    return {
        f"tables/{name}.md": "\n\n".join(lines) + "\n",
        f"tables/{name}.csv": "arm\n",
        f"tables/{name}.tex": f"% {latex_text(title)}: {NOT_PART}\n",
        f"metrics/{name}.json": metrics_json(results, study),
        f"plots/data/{name}_arms.csv": arms_csv(results, study),
        f"plots/data/{name}_curves.csv": curves_csv({}, study),
        f"comparison/{name}.md": f"# Comparison with the reference\n\n## {title}\n\n{text}\n",
    }


def write_left_out(study: Study, results_folder: Path) -> list[Path]:
    """Write these texts, and figures that say the same; returns the paths."""
    files = []
    for path, text in left_out_texts(study).items():
        write_text(results_folder / path, text)
        files.append(results_folder / path)
    with styled():
        for end, formats in FIGURES.items():
            files += save(empty_figure(NOT_PART), results_folder / "plots" / f"{study.name}{end}", formats)
    return files
