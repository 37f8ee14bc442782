"""The top of the page: which loss term matters on which domain, and what became of every study there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from analysis.aggregate import bootstrap_interval, over_domains
from analysis.comparisons import Comparison, Pair
from analysis.domains import NOT_RUN, Domain
from analysis.edge_counts import KEY
from analysis.page.figures import Picture, embed_svg, title
from analysis.plots.domains import domains_figure
from analysis.plots.edges import edges_figure
from analysis.plots.figures import styled
from analysis.plots.forest import forest_figure
from analysis.plots.saving import drawn
from analysis.presentation import compared_arms, study_verdict
from analysis.results import holes
from analysis.robustness import Finding, findings
from analysis.statistics import paired_difference, summarize_arm
from analysis.study import load_study
from analysis.study_data import DEFAULT_NEIGHBORHOOD, StudyData
from analysis.study_order import in_order
from analysis.tables.study_table import number, span
from analysis.verdict import Outcome
from core.config.loss import MASK_TERMS

LOSS_TERMS = "loss_terms"
EDGE_THRESHOLD = 0.3  # of the released code: which share of the edges across a border it keeps


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


@dataclass(frozen=True)
class Overview:
    """`answer`, `difference` and `aggregate` are sentences; a picture is None where nothing was measured for it.

    The pictures: loss terms by domain, color edges by domain, every comparison of arms.
    """

    domains: tuple[str, ...]
    answer: str
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
    terms = {domain.title: domain.studies[LOSS_TERMS] for domain in domains if LOSS_TERMS in domain.studies}
    terms = {title: data for title, data in terms.items() if data.results["mask_AP"].notna().any()}
    compared = {
        domain.title: {name: (data.study, compared_arms(data)) for name, data in domain.studies.items()}
        for domain in domains
    }
    with styled():
        bars = domains_figure(list(terms), list(terms.values())) if terms else None
        forest, lines = forest_figure(compared), edges_figure(edges) if edges else None
        pictures = [figure and embed_svg(drawn(figure, "svg"), LOSS_TERMS) for figure in (bars, lines, forest)]
    names = {path.stem for path in study_files.glob("*.yaml")} | {name for domain in domains for name in domain.studies}
    return Overview(
        domains=tuple(domain.title for domain in domains),
        answer=answer(terms),
        difference=difference(terms, domains),
        aggregate=aggregate({domain.title: terms[domain.title] for domain in domains if domain.title in terms}),
        bars=pictures[0],
        edges=pictures[1],
        comparisons=pictures[2],
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


def answer(terms: Mapping[str, StudyData]) -> str:
    """Which step of the loss terms adds most on each domain, and how far boxes come there."""
    if not terms:
        return "No domain has a result of the study loss_terms yet."
    added = {title: steps for title, data in terms.items() if (steps := _steps(data))}
    if not added:
        return "The study loss_terms has no two neighboring arms with a result yet."
    best = {title: max(steps, key=lambda name: steps[name].difference.mean) for title, steps in added.items()}
    sentences = []
    for name in dict.fromkeys(best.values()):
        where = [title for title in best if best[title] == name]
        everywhere = " on every domain" if len(where) == len(best) > 1 else ""
        numbers = ", ".join(f"{_gain(added[title][name])} on {title}" for title in where)
        sentences.append(f"{name} matters most{everywhere}: it adds {numbers}.")
        others = [other for other in added[where[0]] if other != name]
        for other in others:
            less = [f"{_gain(added[title][other])} on {title}" for title in where if other in added[title]]
            sentences.append(f"{other} adds {', '.join(less)}.")
    reached = [f"{number(share, 0)} % on {title}" for title, data in terms.items() if (share := _boxes_share(data))]
    if reached:
        sentences.append(f"Boxes alone reach {', '.join(reached)} of what full masks reach.")
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _gain(step: Comparison) -> str:
    apart = "one seed" if step.difference.interval is None else "told apart" if step.told_apart else "not told apart"
    return f"{number(step.difference.mean, sign='+')} AP ({apart})"


def _chain(data: StudyData) -> tuple[str, ...]:
    """The first expected order without the reference arm, of arms with results: what is learned from boxes."""
    order = data.study.expected_orders[0] if data.study.expected_orders else ()
    arms = [arm for arm in order if arm != data.study.reference_arm]
    return tuple(arm for arm in arms if summarize_arm(data.results, arm, "mask_AP").n)


def _steps(data: StudyData) -> dict[str, Comparison]:
    """What each step of that order adds, by the name of the loss term that comes in."""
    chain, compared = _chain(data), compared_arms(data)
    steps = {}
    for low, high in pairwise(chain):
        pair = Pair(high, low)
        if pair in compared.found and compared[pair].difference.n:
            steps[_term(data, low, high)] = compared[pair]
    return steps


def _term(data: StudyData, low: str, high: str) -> str:
    """The loss term that the higher arm has beside the lower one, by its weight in the settings; else both arms."""
    weights = [data.configs.get(arm, {}).get("loss", {}) for arm in (low, high)]
    added = [name for name in MASK_TERMS if weights[1].get(name) and not weights[0].get(name)]
    over = f"over {data.study.label(low)}"
    if len(added) == 1:
        return f"the {MASK_TERMS[added[0]].label} term {over}"
    return f"{data.study.label(high)} {over}"


def _boxes_share(data: StudyData) -> float | None:
    """Mask AP of the best arm of that order as a percentage of the reference arm's; None without both."""
    chain, reference = _chain(data), data.study.reference_arm
    whole = summarize_arm(data.results, reference, "mask_AP") if reference else None
    if not chain or whole is None or not whole.n or not whole.mean:
        return None
    return 100 * summarize_arm(data.results, chain[-1], "mask_AP").mean / whole.mean


def difference(terms: Mapping[str, StudyData], domains: Sequence[Domain]) -> str:
    """What differs most between the domains: the share of full masks of one arm, and the edges across borders."""
    shares = {title: _shares(data) for title, data in terms.items()}
    arms = list(dict.fromkeys(arm for of in shares.values() for arm in of))
    apart = {
        arm: max(known) - min(known)
        for arm in arms
        if len(known := [of[arm] for of in shares.values() if arm in of]) > 1
    }
    if not apart:
        return "There is one domain with results of the loss terms, so what differs on others is unknown."
    widest = max(apart, key=lambda arm: apart[arm])
    label = next(data.study.label(widest) for title, data in terms.items() if widest in shares[title])
    numbers = ", ".join(f"{number(of[widest], 0)} % on {title}" for title, of in shares.items() if widest in of)
    sentence = f"Between domains the share of full masks differs most for {label}: {numbers}"
    kept = {domain.title: share for domain in domains if (share := _border_edges(domain)) is not None}
    if len(kept) > 1:
        numbers = ", ".join(f"{number(share)} % on {title}" for title, share in kept.items())
        sentence += f"; of the edges across a border, which mislead the pairwise term, τ = 0.3 keeps {numbers}"
    return f"{sentence}."


def _shares(data: StudyData) -> dict[str, float]:
    reference = data.study.reference_arm
    means = {arm: summarize_arm(data.results, arm, "mask_AP").mean for arm in data.study.arms}
    whole = means.get(reference, 0.0)
    return {arm: 100 * mean / whole for arm, mean in means.items() if arm != reference and mean == mean and whole > 0}


def _border_edges(domain: Domain) -> float | None:
    """Percentage of the edges across a border that the threshold of the released code keeps; None if not measured."""
    if domain.edge_purity is None:
        return None
    at = domain.edge_purity.set_index(list(KEY))
    place = (*DEFAULT_NEIGHBORHOOD, EDGE_THRESHOLD)
    if place not in at.index or not at.loc[place, "different"]:
        return None
    return float(100 * at.loc[place, "different_kept"] / at.loc[place, "different"])


def aggregate(terms: Mapping[str, StudyData]) -> str:
    """The share of full masks that the boxes reach over all domains with two seeds or more, with its interval."""
    scores = {title: found for title, data in terms.items() if len(found := _seed_shares(data)) > 1}
    if len(scores) < 2:
        there = f"there is only {', '.join(scores)}" if scores else "there is none"
        return f"No mean over domains: it takes two with two seeds or more each, {there}."
    values = list(scores.values())
    interval = span(*bootstrap_interval(values), 0)
    return (
        f"Over {', '.join(scores)}: {number(over_domains(values), 0)} % of full masks (interquartile mean over domains "
        f"and seeds; 95 % interval {interval} %, bootstrap of the seeds within each domain)."
    )


def _seed_shares(data: StudyData) -> list[float]:
    """The share of full masks that the last arm of the order from boxes reaches, by seed."""
    chain, reference = _chain(data), data.study.reference_arm
    if not chain or reference is None or not paired_difference(data.results, chain[-1], reference, "mask_AP").n:
        return []
    by_seed = data.results.pivot_table(index="seed", columns="arm", values="mask_AP")[[chain[-1], reference]].dropna()
    by_seed = by_seed[by_seed[reference] > 0]
    return (100 * by_seed[chain[-1]] / by_seed[reference]).tolist()
