"""`report.html`: every study with its verdict, table, plots, pictures and the origin of each number, in one file.

`python -m analysis.html` reads what `python -m analysis.report` wrote into `results/` and needs no network to be read:
pictures are embedded. `--results reference/shapes` shows the published results in the same way.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import jinja2

from analysis.embedding import Picture, embed
from analysis.files import write_text
from analysis.markdown import to_html
from analysis.presentation import study_verdict
from analysis.provenance import ArmOrigin, arm_origins, versions
from analysis.rebuild import is_study, read_trials
from analysis.results import holes
from analysis.study import Study, load_study
from analysis.study_data import read_study_data
from analysis.verdict import Verdict

TEMPLATES = Path(__file__).parent / "templates"
CAPTIONS = {  # by the end of a figure's name
    "": "Main result",
    "_curves": "Training curves",
    "_sizes": "Mask AP by object size",
    "_pictures": "Validation images, successes and failures, one column an arm",
    "consistency": "What a box tells on one photo: its projections, and which neighbors have similar colors",
}
ORDER_OF_FIGURES = ("", "_sizes", "_pictures", "_curves")
MEASUREMENTS = "measurements"  # beside the folder of the study files: what is asked without training
FIGURES_OF = {"consistency": "edge_purity"}  # figures that do not bear their section's name


@dataclass(frozen=True)
class Figure:
    caption: str
    alternative: str  # for readers who do not see it
    picture: Picture


@dataclass(frozen=True)
class StudySection:
    name: str
    title: str
    study: Study
    verdict: Verdict
    scale: str
    seeds: tuple[int, ...]
    num_trials: int
    num_holes: int
    table: str  # HTML
    comparison: str  # HTML, empty where nothing was compared
    figures: tuple[Figure, ...]
    arms: tuple[ArmOrigin, ...]
    versions: tuple[str, ...]


@dataclass(frozen=True)
class OtherSection:
    """A table that stands on no trial of its own: a measurement without training, or published numbers.

    `study` is what the measurement asks; None for published numbers.
    """

    name: str
    title: str
    study: Study | None
    table: str  # HTML
    figures: tuple[Figure, ...]


def study_section(study_file: Path, results_folder: Path, names: list[str]) -> StudySection:
    """Gather what the page shows of one study; `names` are all sections, to tell whose figure a file is.

    Raises:
        ValueError: if results or records are malformed, or the study's table was not written yet.
    """
    name = study_file.stem
    data = read_study_data(study_file, results_folder)
    study, results = data.study, data.results
    records = {path.stem: record for path, record in read_trials(results_folder / name).items()}
    arms = arm_origins(results, study, records)
    links = {arm.label: f"#{arm.anchor}" for arm in arms}
    judged = study_verdict(data)
    shown_above = (study.question, judged.text)
    table = "\n".join(line for line in _read_table(results_folder, name).splitlines() if line not in shown_above)
    compared = results_folder / "comparison" / f"{name}.md"
    return StudySection(
        name=name,
        title=_title(name),
        study=study,
        verdict=judged,
        scale=data.scale,
        seeds=tuple(sorted(set(results["seed"]))),
        num_trials=len(results),
        num_holes=len(holes(results)),
        table=to_html(table, name=_title(name), links=links),
        comparison=to_html(compared.read_text(), name="comparison", links={}) if compared.exists() else "",
        figures=_figures(results_folder, name, names),
        arms=arms,
        versions=tuple(versions(records)),
    )


def other_section(name: str, study_file: Path | None, results_folder: Path, names: list[str]) -> OtherSection:
    """Gather what the page shows of a table that no study has written."""
    table = _read_table(results_folder, name)
    first = table.partition("\n")[0]
    return OtherSection(
        name=name,
        title=first.removeprefix("# ") if first.startswith("# ") else _title(name),
        study=load_study(study_file, []) if study_file else None,
        table=to_html(table, name=_title(name), links={}),
        figures=_figures(results_folder, name, names),
    )


def _read_table(results_folder: Path, name: str) -> str:
    path = results_folder / "tables" / f"{name}.md"
    if not path.exists():
        raise ValueError(f"{path}: no such file; `python -m analysis.report` writes it")
    return path.read_text()


def _figures(results_folder: Path, name: str, names: list[str]) -> tuple[Figure, ...]:
    """The plots of one section, each as SVG where there is one; a plot belongs to the longest name it starts with."""
    paths = sorted((results_folder / "plots").glob("*.png")) + sorted((results_folder / "plots").glob("*.svg"))
    by_stem = {path.stem: path for path in paths}  # the SVG where there are both
    own = [stem for stem in by_stem if name == _owner(stem, names)]
    figures = []
    for stem in sorted(own, key=lambda stem: _place(stem.removeprefix(name))):
        caption = _caption(stem.removeprefix(name))
        alternative = f"{caption}: {_title(name).lower()}. The numbers stand in the table above."
        figures.append(Figure(caption, alternative, embed(by_stem[stem])))
    return tuple(figures)


def _owner(stem: str, names: list[str]) -> str | None:
    fitting = [name for name in names if stem == name or stem.startswith(f"{name}_")]
    return FIGURES_OF.get(stem) or max(fitting, key=len, default=None)


def _place(end: str) -> tuple[int, str]:
    return (ORDER_OF_FIGURES.index(end) if end in ORDER_OF_FIGURES else len(ORDER_OF_FIGURES), end)


def _caption(end: str) -> str:
    return CAPTIONS.get(end) or _title(end.strip("_"))


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def render(results_folder: Path, study_files: Path) -> str:
    """The whole page; equal results give equal text.

    Raises:
        ValueError: if there is nothing to show, or a file is malformed; names it.
    """
    measured = {path.stem: path for path in sorted(study_files.with_name(MEASUREMENTS).glob("*.yaml"))}
    files = {path.stem: path for path in sorted(study_files.glob("*.yaml"))} | measured
    studies = sorted(path.stem for path in results_folder.glob("*.csv") if is_study(path))
    others = [path.stem for path in (results_folder / "tables").glob("*.md") if path.stem not in studies]
    others.sort(key=lambda name: (name not in measured, name))
    if not studies and not others:
        raise ValueError(f"{results_folder}: no <study>.csv and no tables/*.md; has a study run?")
    names = studies + others
    sections = [study_section(study_files / f"{name}.yaml", results_folder, names) for name in studies]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        studies=sections,
        others=[other_section(name, measured.get(name), results_folder, names) for name in others],
        not_run=[(_title(name), load_study(path, [])) for name, path in files.items() if name not in names],
        scales=list(dict.fromkeys(section.scale for section in sections)),
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.html", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="what the pipeline wrote")
    parser.add_argument("--out", type=Path, help="default: report.html in the results")
    parser.add_argument(
        "--study-files", type=Path, default=Path("experiments/studies"), help="folder of the study files"
    )
    options = parser.parse_args(arguments)
    try:
        path = options.out or options.results / "report.html"
        write_text(path, render(options.results, options.study_files))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Written: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
