"""The top of the page: which loss term matters on which domain, and what became of every study there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from analysis.domains import NOT_RUN, Domain
from analysis.page.figures import Picture, embed_svg, title
from analysis.page.loss_terms import Gains, aggregate, answer, difference, gains, terms_by_domain, without_repetition
from analysis.plots.domains import domains_figure
from analysis.plots.edges import edges_figure
from analysis.plots.figures import styled
from analysis.plots.forest import forest_figure
from analysis.plots.saving import drawn
from analysis.presentation import compared_arms, study_verdict
from analysis.results import holes
from analysis.robustness import Finding, findings
from analysis.study import load_study
from analysis.study_order import in_order
from analysis.verdict import Outcome


@dataclass(frozen=True)
class Cell:
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Row:
    """One study on every domain; `linked` if the page has a section for it."""

    name: str
    title: str
    question: str
    linked: bool
    cells: tuple[Cell, ...]

    @property
    def has_run(self) -> bool:
        """Whether it ran on any of the domains."""
        return any(cell.outcome != NOT_RUN for cell in self.cells)


@dataclass(frozen=True)
class Overview:
    """`answer`, `difference` and `aggregate` are sentences; a picture is None where nothing was measured for it.

    The pictures: loss terms by domain, color edges by domain, every comparison of arms.
    """

    domains: tuple[str, ...]
    answer: str
    gains: Gains
    difference: str
    aggregate: str
    bars: Picture | None
    edges: Picture | None
    comparisons: Picture | None
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


def overview(
    domains: Sequence[Domain],
    study_files: Path,
    shown: Collection[str],
    edges: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> Overview:
    """Collect the top of the page; `shown` are studies with a section of their own, `edges` the edge purity by name.

    Raises:
        ValueError: if a study file is malformed.
    """
    terms = terms_by_domain(domains)
    once = without_repetition(terms, domains)
    compared = {
        domain.title: {name: (data.study, compared_arms(data)) for name, data in domain.studies.items()}
        for domain in domains
    }
    with styled():
        figures = {
            "bars": domains_figure(list(terms), list(terms.values())) if terms else None,
            "edges": edges_figure(edges) if edges else None,
            "comparisons": forest_figure(compared),
        }
        pictures = {name: figure and embed_svg(drawn(figure, "svg"), name) for name, figure in figures.items()}
    names = {path.stem for path in study_files.glob("*.yaml")} | {name for domain in domains for name in domain.studies}
    return Overview(
        domains=tuple(domain.title for domain in domains),
        answer=answer(once),
        gains=gains(terms, domains),
        difference=difference(once),
        aggregate=aggregate(once),
        **pictures,
        rows=tuple(_row(name, domains, study_files, name in shown) for name in in_order(names)),
        findings=tuple(findings(domains)),
    )


def _row(name: str, domains: Sequence[Domain], study_files: Path, linked: bool) -> Row:
    question = load_study(study_files / f"{name}.yaml", []).question
    return Row(name, title(name), question, linked, tuple(_cell(name, domain, study_files) for domain in domains))


def _cell(name: str, domain: Domain, study_files: Path) -> Cell:
    if name not in domain.studies:
        return Cell(NOT_RUN, domain.why_absent(name, study_files))
    data = domain.studies[name]
    judged, missing = study_verdict(data), len(holes(data.results))
    lacking = f" {missing} of {len(data.results)} trials have no result." if missing else ""
    return Cell(judged.outcome, f"{judged.reason}.{lacking}" if judged.reason else lacking.strip())
