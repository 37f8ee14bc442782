"""Whether a study's results are what it expects, judged by the 95 % intervals over seeds.

With one seed, there is no interval of its own: then the spread of the reference's seeds gives one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import pandas as pd

from analysis.labels import arm_label
from analysis.statistics import (
    Summary,
    above,
    below,
    one_seed_difference,
    order_holds,
    overlap,
    summarize_arm,
)
from analysis.studies.color_threshold import purity_sentence, thresholds
from analysis.study import Study
from analysis.tables.study_table import difference_in_words, number, span

ONE_SEED = "one seed and so no interval, difference to"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Outcome = Literal["holds", "does not hold", "undecided", "not judged", "no order expected"]


@dataclass(frozen=True)
class Verdict:
    """What is expected neither holds nor fails by means alone: `undecided` is what intervals leave open.

    `not judged` is what they were not asked about: a hole, or one seed and no reference.
    """

    text: str
    outcome: Outcome

    @property
    def holds(self) -> bool | None:
        return {"holds": True, "does not hold": False}.get(self.outcome)


def verdict(
    results: pd.DataFrame,
    study: Study,
    edge_purity: pd.DataFrame | None = None,
    spread: pd.DataFrame | None = None,
) -> Verdict:
    """Judge each order that the study expects; without one, tell which arms differ from the reference arm.

    An order holds if the means rise and the 95 % intervals of neighbors in it do not overlap; it does not where the
    means of two neighbors fall and theirs do not overlap; the expectation holds if all orders do. Intervals that just
    touch overlap. Where an arm has one seed, each two neighbors are judged by the interval of their difference, which
    must leave out 0: `spread`, the reference's trials of the same settings, gives its width. `color_threshold` is
    also judged by whether τ = 0 is the worst, with `edge_purity` of the same data as a reason if it is not. What an
    expectation says in other words is not judged, and the text says so.
    """
    judged = [_order_verdict(results, order, spread) for order in study.expected_orders]
    words = "The part in words is not judged." if study.has_words else ""
    if study.name == "color_threshold" and 0 in thresholds(results).to_numpy():
        judged.insert(0, _threshold_verdict(results, study, edge_purity, spread))
        words = "What else the expectation says in words is not judged." if study.has_words else ""
    if judged:
        text = " ".join([*(judgment.text for judgment in judged), words]).strip()
        return Verdict(text, _together([judgment.outcome for judgment in judged]))
    text = "The study expects no order; the part in words is not judged." if words else "The study expects no order."
    if study.reference_arm is not None:
        text += f" {_differences(results, study.arms, study.reference_arm, spread)}"
    return Verdict(text, "no order expected")


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """One that fails makes all fail; else all hold only if each does."""
    by_weight: tuple[Outcome, ...] = ("does not hold", "not judged", "undecided", "holds")
    return min(outcomes, key=by_weight.index)


def _order_verdict(results: pd.DataFrame, order: tuple[str, ...], spread: pd.DataFrame | None) -> Verdict:
    summaries = [summarize_arm(results, arm, "mask_AP") for arm in order]
    subject = f"Expected order of mask AP, {' < '.join(map(arm_label, order))}:"
    lacking = [arm_label(arm) for arm, summary in zip(order, summaries, strict=True) if summary.n == 0]
    if lacking:
        return Verdict(f"{subject} cannot be judged, no result for {', '.join(lacking)}.", "not judged")
    if any(summary.interval is None for summary in summaries):
        return _one_seed_verdict(results, order, subject, summaries, spread)
    by_seed = results.pivot_table(index="seed", columns="arm", values="mask_AP")[list(order)].dropna()
    seeds = sum(order_holds(row) for row in by_seed.to_numpy().tolist())
    means = ", ".join(number(summary.mean) for summary in summaries)
    numbers = f"({means}; in {seeds} of {len(by_seed)} seeds)"
    steps = list(zip(pairwise(order), pairwise(summaries), strict=True))
    wrong = [step_in_words(results, *arms) for arms, (low, high) in steps if not low.mean < high.mean]
    fails = any(high.mean < low.mean and not _overlap(high, low) for _, (low, high) in steps)
    unclear = [step_in_words(results, *arms) for arms, (low, high) in steps if _overlap(low, high)]
    if fails:
        return Verdict(f"{subject} DOES NOT HOLD {numbers}: {'; '.join(wrong)}.", "does not hold")
    if wrong:
        state = f"does not hold in the means {numbers}, but intervals overlap"
        return Verdict(f"{subject} {state}: {'; '.join(wrong)}.", "undecided")
    if unclear:
        text = f"{subject} holds in the means {numbers}, but intervals overlap: {'; '.join(unclear)}."
        return Verdict(text, "undecided")
    return Verdict(f"{subject} holds, and the 95 % intervals do not overlap {numbers}.", "holds")


def _one_seed_verdict(
    results: pd.DataFrame,
    order: tuple[str, ...],
    subject: str,
    summaries: Sequence[Summary],
    spread: pd.DataFrame | None,
) -> Verdict:
    """Judge each step of an order by the interval of its difference, of which at least one has one seed only."""
    steps = {(low, high): one_seed_difference(results, high, low, "mask_AP", spread) for low, high in pairwise(order)}
    words = {arms: step_in_words(results, *arms, spread) for arms in steps}
    rising = [low.mean < high.mean for low, high in pairwise(summaries)]
    wrong = [text for text, rises in zip(words.values(), rising, strict=True) if not rises]
    means = ", ".join(number(summary.mean) for summary in summaries)
    if spread is None or any(step.interval is None for step in steps.values()):
        by_seed = results.pivot_table(index="seed", columns="arm", values="mask_AP")[list(order)].dropna()
        seeds = sum(order_holds(row) for row in by_seed.to_numpy().tolist())
        state = f"does not hold, {'; '.join(wrong)}" if wrong else "holds"
        numbers = f"({means}; in {seeds} of {len(by_seed)} seeds)"
        text = f"{subject} cannot be judged with one seed; in the means it {state} {numbers}."
        return Verdict(text, "not judged")
    numbers = f"({means}; {one_seed_source(spread, order)})"
    if any(below(step.interval, 0.0) for step in steps.values()):
        return Verdict(f"{subject} DOES NOT HOLD {numbers}: {'; '.join(wrong)}.", "does not hold")
    unclear = [words[arms] for arms, step in steps.items() if not above(step.interval, 0.0)]
    if unclear:
        state = "does not hold" if wrong else "holds"
        text = f"{subject} {state} in the means {numbers}, but not beyond that spread: {'; '.join(unclear)}."
        return Verdict(text, "undecided")
    return Verdict(f"{subject} holds {numbers}.", "holds")


def one_seed_source(spread: pd.DataFrame, arms: Sequence[str]) -> str:
    """What one seed of these arms is judged by."""
    seeds = int(spread[spread["arm"].isin(arms)].groupby("arm")["seed"].nunique().min())
    count = NUMBERS[seeds] if seeds < len(NUMBERS) else str(seeds)
    return f"one seed; judged by the spread of {count} seeds in the reference"


def _overlap(one: Summary, other: Summary) -> bool:
    """Whether the intervals of two arms overlap."""
    return one.interval is not None and other.interval is not None and overlap(one.interval, other.interval)


def step_in_words(results: pd.DataFrame, low_arm: str, high_arm: str, spread: pd.DataFrame | None = None) -> str:
    """Difference of two arms in words, with the interval over paired seeds, which says more than the two alone."""
    difference = one_seed_difference(results, high_arm, low_arm, "mask_AP", spread)
    return f"{arm_label(high_arm)} is {difference_in_words(difference)} against {arm_label(low_arm)}"


def _differences(results: pd.DataFrame, arms: tuple[str, ...], reference_arm: str, spread: pd.DataFrame | None) -> str:
    """Arms by whether the interval of their paired difference to the reference arm leaves out 0.

    The only other arm has a sentence of its own.
    """
    others = [arm for arm in arms if arm != reference_arm]
    if not others:
        return f"There is no arm beside {arm_label(reference_arm)}."
    if not summarize_arm(results, reference_arm, "mask_AP").n:
        return f"{arm_label(reference_arm)}, with which the others are compared, has no result."
    differences = {arm: one_seed_difference(results, arm, reference_arm, "mask_AP", spread) for arm in others}
    by_spread = [arm for arm, found in differences.items() if found.n == 1 and found.interval is not None]
    source = "" if spread is None or not by_spread else f" ({one_seed_source(spread, [*by_spread, reference_arm])})"
    if len(others) == 1 and (difference := differences[others[0]]).n:
        side = "" if difference.interval is None else f": by the interval {_side(difference).removesuffix(' from')}"
        return f"{step_in_words(results, reference_arm, others[0], spread)}{side}{source}."
    groups: dict[str, list[str]] = {side: [] for side in ("above", "below", "not told apart from", ONE_SEED)}
    lacking = []
    for arm, difference in differences.items():
        if difference.n == 0:
            lacking.append(arm_label(arm))
            continue
        words = f"{arm_label(arm)} ({number(difference.mean, sign='+')}"
        words += f", {span(*difference.interval, sign='+')})" if difference.interval else ")"
        groups[_side(difference)].append(words)
    sentences = [f"{name} {arm_label(reference_arm)}: {', '.join(words)}" for name, words in groups.items() if words]
    sentences += [f"no result to compare: {', '.join(lacking)}"] if lacking else []
    return f"By the 95 % interval of the paired difference{source}, {'; '.join(sentences)}."


def _side(difference: Summary) -> str:
    if difference.interval is None:
        return ONE_SEED
    sides = {"above": above(difference.interval, 0.0), "below": below(difference.interval, 0.0)}
    return next((side for side, there in sides.items() if there), "not told apart from")


def _threshold_verdict(
    results: pd.DataFrame, study: Study, edge_purity: pd.DataFrame | None, spread: pd.DataFrame | None
) -> Verdict:
    """Whether τ = 0, where every pair of neighbors counts, is the worst of its column, and by how much."""
    values = thresholds(results)
    zero = values.index[values == 0][0]
    summaries = {arm: summarize_arm(results, arm, "mask_AP") for arm in study.arms if arm in values.index}
    judged = {arm: summary for arm, summary in summaries.items() if summary.n}
    subject = f"Expected: {arm_label(zero)} is the worst of its column."
    if zero not in judged or len(judged) < 2:
        return Verdict(f"{subject} Cannot be judged, no result for it or for the others.", "not judged")
    numbers = ", ".join(f"{number(summary.mean)} at {arm_label(arm)}" for arm, summary in judged.items())
    others = {arm: summary for arm, summary in judged.items() if arm != zero}
    lowest = min(others, key=lambda arm: others[arm].mean)
    worst = judged[zero].mean < others[lowest].mean
    best = max(judged, key=lambda arm: judged[arm].mean)
    difference = one_seed_difference(results, zero, lowest, "mask_AP", spread)
    against = difference_in_words(difference)
    if not difference.n:
        against = f"{number(judged[zero].mean - others[lowest].mean, sign='+')} AP (means; no seed in common)"
    one_seed = judged[zero].interval is None or others[lowest].interval is None
    unclear = _overlap(judged[zero], others[lowest])
    clear = "" if one_seed else f", with intervals that {'' if unclear else 'do not '}overlap"
    if worst:
        text = f"It is, {against} against the next worst, {arm_label(lowest)}{clear}."
    else:
        text = f"It is NOT: {arm_label(zero)} is {against} against {arm_label(lowest)}{clear}."
        text += f" {purity_sentence(edge_purity)}"
    text = f"{subject} {text} Means: {numbers}; best is {arm_label(best)}."
    if one_seed and (spread is None or difference.interval is None):
        return Verdict(f"{text} One seed, so this is no judgment.", "not judged")
    if one_seed:
        unclear = not (below(difference.interval, 0.0) or above(difference.interval, 0.0))
        source = one_seed_source(spread, (zero, lowest))
        text += f" {source[0].upper()}{source[1:]}{', which leaves it open' if unclear else ''}."
    return Verdict(text, "undecided" if unclear else "holds" if worst else "does not hold")
