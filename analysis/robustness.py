"""Which findings survive on every domain: `python -m analysis.robustness` writes `results/tables/robustness.{md,csv}`.

It also writes `results/tables/comparisons.{md,csv}`, every comparison of arms of the results that ran last.

A finding is an order of arms that a study expects, or what its view judges. Each domain, a recipe with its data,
judges it by the rule of `analysis.comparisons`. A finding survives if it holds on all domains that ran the study, at
least two; it does not if it fails on one. The results that ran last count unless the reference of their recipe has the
study. One seed cannot tell arms apart, so a domain with one does not count where two others have more. Nor does a
recipe for the study that it was made for.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from analysis.domains import NOT_RUN, Domain, read_domains
from analysis.plain_text import table_csv
from analysis.presentation import all_comparisons, study_findings
from analysis.reference.seed_spread import with_spread
from analysis.reference.trials import REFERENCES
from analysis.results import finished, study_names
from analysis.study import add_choice, chosen_studies
from analysis.study_data import read_study_data
from analysis.study_order import in_order
from analysis.tables.study_table import markdown_table
from analysis.verdict import Verdict
from core.compute.command import run_command
from core.files.atomic import write_text

NOTE = (
    "A finding holds on a domain if every step of it is told apart: p of the difference, paired by seed, below 5 % "
    "after Holm's correction over the study's comparisons. It survives if it holds on all domains that ran it, at "
    "least two; where two have several seeds, a domain with one seed, which cannot tell arms apart, does not count. "
    "The recipe `shapes` was made so that trainings of two minutes show the order of the loss terms: that it holds "
    "there is no finding, and does not count."
)
MADE_FOR = {"shapes": "loss_terms"}  # recipe: the study whose order its settings were chosen to show
Survival = Literal["survives", "does not survive", "open"]


@dataclass(frozen=True)
class Finding:
    """`verdicts` by title of the domain; a domain that did not run the study has none."""

    study: str
    text: str
    verdicts: dict[str, Verdict]
    survival: Survival
    reason: str


def findings(domains: Sequence[Domain]) -> list[Finding]:
    """Every finding of every study that some domain ran, in the order of the studies."""
    found = []
    for name in in_order({study for domain in domains for study in domain.studies}):
        by_domain = {
            domain.title: {judged.finding: judged for judged in study_findings(domain.studies[name])}
            for domain in domains
            if name in domain.studies
        }
        for text in dict.fromkeys(text for judged in by_domain.values() for text in judged):
            verdicts = {title: judged[text] for title, judged in by_domain.items() if text in judged}
            found.append(Finding(name, text, verdicts, *_survival(_counted(verdicts, domains, name))))
    return found


def _counted(verdicts: dict[str, Verdict], domains: Sequence[Domain], study: str) -> dict[str, Verdict]:
    """The verdicts that count: one for each recipe, that of its reference where the reference has one.

    Where two domains have several seeds, only such domains count; a recipe made for the study never does.
    """
    judged = [domain for domain in domains if domain.title in verdicts and MADE_FOR.get(domain.name) != study]
    references = {domain.name for domain in judged if not domain.here}
    judged = [domain for domain in judged if not (domain.here and domain.name in references)]
    several = [domain for domain in judged if len(set(finished(domain.studies[study].results)["seed"])) > 1]
    return {domain.title: verdicts[domain.title] for domain in (several if len(several) > 1 else judged)}


def _survival(verdicts: dict[str, Verdict]) -> tuple[Survival, str]:
    by_outcome: dict[str, list[str]] = {}
    for title, judged in verdicts.items():
        by_outcome.setdefault(judged.outcome, []).append(title)
    failed, held = by_outcome.pop("does not hold", []), by_outcome.pop("holds", [])
    if failed:
        return "does not survive", f"fails on {', '.join(failed)}"
    if by_outcome:
        return "open", "; ".join(f"{outcome} on {', '.join(titles)}" for outcome, titles in by_outcome.items())
    if not held:
        return "open", "no domain that counts ran it"
    if len(held) == 1:
        return "open", f"holds on {held[0]}, no other domain ran it"
    return "survives", f"holds on {', '.join(held)}"


def robustness_table(domains: Sequence[Domain]) -> pd.DataFrame:
    """One row per finding as text: study, finding, survival with its reason, and each domain's judgment."""
    rows = []
    for found in findings(domains):
        row = {"study": found.study.replace("_", " "), "finding": found.text}
        row |= {"over domains": f"{found.survival}: {found.reason}"}
        for domain in domains:
            judged = found.verdicts.get(domain.title)
            row[domain.title] = NOT_RUN if judged is None else f"{judged.outcome}: {judged.reason}"
        rows.append(row)
    return pd.DataFrame(rows, columns=["study", "finding", "over domains", *(domain.title for domain in domains)])


def render_markdown(domains: Sequence[Domain]) -> str:
    table = robustness_table(domains)
    return "\n".join(
        [
            "# Which findings survive on other domains and recipes",
            "",
            markdown_table(list(table), table.to_numpy().tolist(), left=len(table.columns)),
            "",
            NOTE,
            "",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the table; exit status 0, or 2 for invalid input."""
    parser = argparse.ArgumentParser(prog="python -m analysis.robustness", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="output folder of the pipeline")
    parser.add_argument("--reference", type=Path, default=REFERENCES, help="folder of the references by recipe")
    add_choice(parser)
    options = parser.parse_args(arguments)

    def work() -> None:
        names = study_names(options.results, chosen_studies(options))
        files = {name: options.study_files / f"{name}.yaml" for name in names}
        studies = {name: with_spread(read_study_data(file, options.results), None) for name, file in files.items()}
        domains = read_domains(options.results, studies, options.study_files, options.reference)
        tables = options.results / "tables"
        for name, text in all_comparisons(studies.values()).items():
            write_text(tables / name, text)
        write_text(tables / "robustness.md", render_markdown(domains))
        write_text(tables / "robustness.csv", table_csv(robustness_table(domains), index=False))
        print(render_markdown(domains))
        print(f"Written: {tables}/robustness.md, robustness.csv, comparisons.md, comparisons.csv")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
