"""`report.html`: which loss term matters on which domain, then every study with its numbers' origin, in one file.

`python -m analysis.page` reads the output of `python -m analysis.report` in `results/` and embeds all pictures, so the
page works offline. `--results reference/shapes` shows the published results in the same way; `--params params.yaml`
omits results of studies outside its set.
"""

import argparse
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2

from analysis.domains import measured_edges, read_domains
from analysis.page.figures import Figure, figures_of, title
from analysis.page.markdown import to_html, without_empty_columns
from analysis.page.overview import overview
from analysis.page.provenance import ArmOrigin, arm_origins, versions
from analysis.plain_text import markdown_text
from analysis.presentation import study_verdict
from analysis.reference.seed_spread import with_spread
from analysis.reference.trials import REFERENCES
from analysis.results import holes, is_study, study_names
from analysis.robustness import NOTE
from analysis.study import Study, add_choice, chosen_studies, load_study
from analysis.study_data import StudyData, read_study_data
from analysis.verdict import Verdict
from core.compute.command import run_command
from core.files.atomic import write_text
from core.files.json_file import read_utf8

TEMPLATES = Path(__file__).parent / "templates"
ROBUSTNESS = "robustness"  # the table of findings: shown at the top, from the same domains
MEASUREMENTS = "measurements"  # folder beside that of the study files: measurements without training


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
    comparison: str  # HTML, empty if nothing was compared
    figures: tuple[Figure, ...]
    arms: tuple[ArmOrigin, ...]
    versions: tuple[str, ...]


@dataclass(frozen=True)
class OtherSection:
    """A table without trials: a measurement without training, or published numbers.

    `study` is the file of the measurement; None for published numbers.
    """

    name: str
    title: str
    study: Study | None
    table: str  # HTML
    figures: tuple[Figure, ...]


def study_section(data: StudyData, results_folder: Path, names: list[str]) -> StudySection:
    """Collect what the page shows of one study; `names` are all sections, see `figures_of`.

    Raises:
        ValueError: if records are malformed, or the study has no table yet.
    """
    name = data.study.name
    study, results = data.study, data.results
    records = data.records
    arms = arm_origins(results, study, records)
    links = {arm.label: f"#{arm.anchor}" for arm in arms}
    judged = study_verdict(data)
    shown_above = {markdown_text(study.question), markdown_text(judged.text)}
    table = "\n".join(
        line for line in _read_table(results_folder, name).splitlines() if not line or line not in shown_above
    )
    compared = results_folder / "comparison" / f"{name}.md"
    return StudySection(
        name=name,
        title=title(name),
        study=replace(study, expectation=expectation_in_words(study)),
        verdict=judged,
        scale=data.scale,
        seeds=tuple(sorted(set(results["seed"]))),
        num_trials=len(results),
        num_holes=len(holes(results)),
        table=to_html(without_empty_columns(table), name=title(name), links=links),
        comparison=to_html(read_utf8(compared), name="comparison", links={}) if compared.exists() else "",
        figures=figures_of(name, results_folder / "plots", names),
        arms=arms,
        versions=tuple(versions(records)),
    )


def expectation_in_words(study: Study) -> str:
    """What a study expects, with the names that readers see in place of those of the file in its orders."""
    text = study.expectation
    for order in study.expected_orders:
        text = text.replace(" < ".join(order), " < ".join(study.label(arm) for arm in order))
    return text


def other_section(name: str, study_file: Path | None, results_folder: Path, names: list[str]) -> OtherSection:
    """Collect what the page shows of a table that does not belong to a study."""
    table = _read_table(results_folder, name)
    first = table.partition("\n")[0]
    return OtherSection(
        name=name,
        title=first.removeprefix("# ") if first.startswith("# ") else title(name),
        study=load_study(study_file, []) if study_file else None,
        table=to_html(table, name=title(name), links={}),
        figures=figures_of(name, results_folder / "plots", names),
    )


def _read_table(results_folder: Path, name: str) -> str:
    path = results_folder / "tables" / f"{name}.md"
    if not path.exists():
        raise ValueError(f"{path}: no such file; `python -m analysis.report` writes it")
    return read_utf8(path)


def render(
    results_folder: Path, study_files: Path, chosen: Collection[str] | None = None, *, ask_reference: bool = True
) -> str:
    """The page with the chosen studies (default: all that have results); equal results give equal text.

    With `ask_reference`, a single seed is judged by `reference/<recipe>`, and all references are domains beside these
    results; not for a folder that becomes a reference.

    Raises:
        ValueError: if there is nothing to show, or a file is malformed; names it.
    """
    measured = {path.stem: path for path in sorted(study_files.with_name(MEASUREMENTS).glob("*.yaml"))}
    asked = {path.stem: path for path in sorted(study_files.glob("*.yaml"))}
    studies = study_names(results_folder, chosen)
    not_shown = {*asked, *(path.stem for path in results_folder.glob("*.csv") if is_study(path))}.difference(studies)
    tables = {path.stem for path in (results_folder / "tables").glob("*.md")}
    others = sorted(tables - not_shown - {*studies, ROBUSTNESS}, key=lambda name: (name not in measured, name))
    if not studies and not others:
        raise ValueError(
            f"{results_folder}: no <study>.csv and no tables/*.md; `python -m experiments.run <study>` writes a CSV"
        )
    names = [*studies, *others, *not_shown]
    read = {name: read_study_data(study_files / f"{name}.yaml", results_folder) for name in studies}
    read = {name: with_spread(data, None) for name, data in read.items()} if ask_reference else read
    sections = [study_section(data, results_folder, names) for data in read.values()]
    domains = read_domains(results_folder, read, study_files, REFERENCES if ask_reference else None)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        top=overview(domains, study_files, studies, measured_edges(domains, REFERENCES if ask_reference else None)),
        studies=sections,
        others=[other_section(name, measured.get(name), results_folder, names) for name in others],
        not_measured=[(title(name), load_study(path, [])) for name, path in measured.items() if name not in others],
        survival_note=NOTE,
        scales=list(dict.fromkeys(section.scale for section in sections)),
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.page", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="output folder of the pipeline")
    parser.add_argument("--out", type=Path, help="file to write (default: report.html in the results)")
    add_choice(parser)
    options = parser.parse_args(arguments)

    def work() -> None:
        path = options.out or options.results / "report.html"
        write_text(path, render(options.results, options.study_files, chosen_studies(options)))
        print(f"Written: {path} ({path.stat().st_size / 1e6:.1f} MB)")

    return run_command(work)
