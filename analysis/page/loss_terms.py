"""The loss terms over all domains, for the top of the page: what each adds, how far boxes come, and what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from analysis.aggregate import over_domains
from analysis.comparisons import Comparison, Pair
from analysis.domains import Domain
from analysis.edge_counts import KEY
from analysis.presentation import compared_arms
from analysis.statistics import paired_difference, summarize_arm
from analysis.study_data import DEFAULT_NEIGHBORHOOD, StudyData
from analysis.tables.study_table import number, span
from core.config.loss import MASK_TERMS

LOSS_TERMS = "loss_terms"
EDGE_THRESHOLD = 0.3  # of the released code
REACHED = "boxes reach, of full masks"
BORDER = "of the edges kept at τ = 0.3, across a border"


@dataclass(frozen=True)
class Gains:
    """A table in words: a row for each domain, a column for each step of the loss terms and what goes with it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]  # domain, cells; empty where nothing is known


def terms_by_domain(domains: Sequence[Domain]) -> dict[str, StudyData]:
    """The study of loss terms of every domain that has a result of it, by the domain's title."""
    terms = {domain.title: domain.studies[LOSS_TERMS] for domain in domains if LOSS_TERMS in domain.studies}
    return {title: data for title, data in terms.items() if data.results["mask_AP"].notna().any()}


def without_repetition(terms: Mapping[str, StudyData], domains: Sequence[Domain]) -> dict[str, StudyData]:
    """Each domain once: where this run repeats a reference, the one with more seeds; this run if they have as many."""
    best: dict[str, str] = {}
    for domain in domains:
        if domain.title in terms:
            other = best.get(domain.name)
            if other is None or _seeds(terms[domain.title]) > _seeds(terms[other]):
                best[domain.name] = domain.title
    return {title: data for title, data in terms.items() if title in best.values()}


def _seeds(data: StudyData) -> int:
    return data.results["seed"].nunique()


def gains(terms: Mapping[str, StudyData], domains: Sequence[Domain]) -> Gains:
    """What each step adds on each domain, which share of full masks boxes reach, and the edges across borders."""
    steps = {title: _steps(data) for title, data in terms.items()}
    names = tuple(dict.fromkeys(name for of in steps.values() for name in of))
    border = {domain.title: _border_edges(domain) for domain in domains}
    rows = []
    for title, data in terms.items():
        cells = [_gain_with_interval(steps[title][name]) if name in steps[title] else "" for name in names]
        cells += [_percent(_boxes_share(data), 0), _percent(border[title], 1)]
        rows.append((title, tuple(cells)))
    return Gains((*(name.removeprefix("the ") for name in names), REACHED, BORDER), tuple(rows))


def _percent(share: float | None, digits: int) -> str:
    return "" if share is None else f"{number(share, digits)} %"


def _gain_with_interval(step: Comparison) -> str:
    gain, interval = number(step.difference.mean, sign="+"), step.difference.interval
    if interval is None:
        return f"{gain} AP (one seed)"
    remarks = "" if step.told_apart else ", not told apart"
    remarks += "" if step.images else ", given these images"
    return f"{gain} AP ({span(*interval, 1, sign='+')}{remarks})"


def answer(terms: Mapping[str, StudyData]) -> str:
    """Which step of the loss terms is the largest on each domain, and how far boxes come; `gains` has the rest."""
    if not terms:
        return "No domain has a result of the study loss_terms yet."
    added = {title: steps for title, data in terms.items() if (steps := _steps(data))}
    if not added:
        return "The study loss_terms has no two neighboring arms with a result yet."
    best = {title: max(steps, key=lambda name: steps[name].difference.mean) for title, steps in added.items()}
    clauses = []
    for name in dict.fromkeys(best.values()):
        where = [f"{title} ({_gain(added[title][name])})" for title in best if best[title] == name]
        clauses.append(f"{name} on {listed(where)}")
    sentence = f"The largest step is {listed(clauses)}."
    shares = [share for data in terms.values() if (share := _boxes_share(data)) is not None]
    if shares:
        low, high = (number(end(shares), 0) for end in (min, max))
        reached = low if low == high else f"{low} to {high}"
        sentence += f" With boxes alone, networks reach {reached} % of the AP of full masks."
    return sentence


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _gain(step: Comparison) -> str:
    """What a step adds, with a word where that is not certain."""
    doubt = "one seed" if step.difference.interval is None else "" if step.told_apart else "not told apart"
    return f"{number(step.difference.mean, sign='+')} AP{doubt and f', {doubt}'}"


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
    """The loss term that the higher arm has over those of the lower one, or in place of them; else both arms."""
    terms = [
        {name for name in MASK_TERMS if data.configs.get(arm, {}).get("loss", {}).get(name)} for arm in (low, high)
    ]
    over = f"{'in place of' if terms[0] - terms[1] else 'over'} {data.study.label(low)}"
    added = terms[1] - terms[0]
    return f"the {MASK_TERMS[added.pop()].label} term {over}" if len(added) == 1 else f"{data.study.label(high)} {over}"


def _boxes_share(data: StudyData) -> float | None:
    """Mask AP of the last arm of that order as a percentage of the reference arm's; None without both."""
    chain, reference = _chain(data), data.study.reference_arm
    whole = summarize_arm(data.results, reference, "mask_AP") if reference else None
    if not chain or whole is None or not whole.n or not whole.mean:
        return None
    return 100 * summarize_arm(data.results, chain[-1], "mask_AP").mean / whole.mean


def difference(terms: Mapping[str, StudyData]) -> str:
    """For which arm the share of full masks differs most between the domains."""
    shares = {title: _shares(data) for title, data in terms.items()}
    arms = list(dict.fromkeys(arm for of in shares.values() for arm in of))
    known = {arm: {title: of[arm] for title, of in shares.items() if arm in of} for arm in arms}
    apart = {arm: max(of.values()) - min(of.values()) for arm, of in known.items() if len(of) > 1}
    if not apart:
        return "There is one domain with results of the loss terms, so what differs on others is unknown."
    widest = max(apart, key=lambda arm: apart[arm])
    of = known[widest]
    low, high = min(of, key=lambda title: of[title]), max(of, key=lambda title: of[title])
    label = terms[low].study.label(widest)
    return (
        f"Between domains the share of full masks differs most for {label}: from {number(of[low], 0)} % on {low} to "
        f"{number(of[high], 0)} % on {high}."
    )


def _shares(data: StudyData) -> dict[str, float]:
    reference = data.study.reference_arm
    means = {arm: summarize_arm(data.results, arm, "mask_AP").mean for arm in data.study.arms}
    whole = means.get(reference, 0.0)
    return {arm: 100 * mean / whole for arm, mean in means.items() if arm != reference and mean == mean and whole > 0}


def _border_edges(domain: Domain) -> float | None:
    """Percentage of the edges kept by the threshold of the released code that cross a border; None if not measured."""
    if domain.edge_purity is None:
        return None
    at = domain.edge_purity.set_index(list(KEY))
    place = (*DEFAULT_NEIGHBORHOOD, EDGE_THRESHOLD)
    if place not in at.index or not at.loc[place, "kept"]:
        return None
    return float(100 * at.loc[place, "different_kept"] / at.loc[place, "kept"])


def aggregate(terms: Mapping[str, StudyData]) -> str:
    """The share of full masks that the boxes reach over all domains with two seeds or more, with its interval."""
    scores = {title: found for title, data in terms.items() if len(found := _seed_shares(data)) > 1}
    if len(scores) < 2:
        there = f"there is only {', '.join(scores)}" if scores else "there is none"
        return f"No mean over domains: it takes two with two seeds or more each, {there}."
    found = over_domains(list(scores.values()))
    return (
        f"Over {listed(list(scores))}: {number(found.mean, 0)} % of full masks (mean over domains; 95 % interval for "
        f"other seeds: {span(*found.interval, 0)} %)."
    )


def _seed_shares(data: StudyData) -> list[float]:
    """The share of full masks that the last arm of the order from boxes reaches, by seed."""
    chain, reference = _chain(data), data.study.reference_arm
    if not chain or reference is None or not paired_difference(data.results, chain[-1], reference, "mask_AP").n:
        return []
    by_seed = data.results.pivot_table(index="seed", columns="arm", values="mask_AP")[[chain[-1], reference]].dropna()
    by_seed = by_seed[by_seed[reference] > 0]
    return (100 * by_seed[chain[-1]] / by_seed[reference]).tolist()
