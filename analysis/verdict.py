"""Whether a study's results are what it expects, judged by the 95 % intervals over seeds.

With one seed, there is no interval of its own: then the spread of the reference's seeds gives one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import pandas as pd

from analysis.statistics import (
    Summary,
    above,
    below,
    one_seed_difference,
    order_holds,
    overlap,
    summarize_arm,
)
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


@dataclass(frozen=True)
class OwnWords:
    """What a view adds to a study's verdict: judgments, which decide with the orders, and sentences after them."""

    judgments: tuple[Verdict, ...] = ()
    sentences: tuple[str, ...] = ()


def verdict(
    results: pd.DataFrame, study: Study, own: OwnWords = OwnWords(), spread: pd.DataFrame | None = None
) -> Verdict:
    """Judge each order that the study expects; without one, tell which arms differ from the reference arm.

    An order holds if the means rise and the 95 % intervals of neighbors in it do not overlap; it does not where the
    means of two neighbors fall and theirs do not overlap; the expectation holds if all orders do. Intervals that just
    touch overlap. Where an arm has one seed, each two neighbors are judged by the interval of their difference, which
    must leave out 0: `spread`, the reference's trials of the same settings, gives its width. What an expectation says
    in other words is judged where the study's view does so, `own`; the text says what is not.
    """
    judged = [*own.judgments, *(_order_verdict(results, study, order, spread) for order in study.expected_orders)]
    part = "What else the expectation says" if own.judgments else "The part"
    words = f"{part} in words is not judged." if study.has_words else ""
    if judged:
        text = " ".join([*(judgment.text for judgment in judged), words, *own.sentences])
        return Verdict(" ".join(text.split()), _together([judgment.outcome for judgment in judged]))
    text = "The study expects no order; the part in words is not judged." if words else "The study expects no order."
    if study.reference_arm is not None:
        text += f" {_differences(results, study, study.reference_arm, spread)}"
    return Verdict(" ".join([text, *own.sentences]), "no order expected")


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """One that fails makes all fail; else all hold only if each does."""
    by_weight: tuple[Outcome, ...] = ("does not hold", "not judged", "undecided", "holds")
    return min(outcomes, key=by_weight.index)


def _order_verdict(results: pd.DataFrame, study: Study, order: tuple[str, ...], spread: pd.DataFrame | None) -> Verdict:
    summaries = [summarize_arm(results, arm, "mask_AP") for arm in order]
    subject = f"Expected order of mask AP, {' < '.join(map(study.label, order))}:"
    lacking = [study.label(arm) for arm, summary in zip(order, summaries, strict=True) if summary.n == 0]
    if lacking:
        return Verdict(f"{subject} cannot be judged, no result for {', '.join(lacking)}.", "not judged")
    if any(summary.interval is None for summary in summaries):
        return _one_seed_verdict(results, study, order, subject, summaries, spread)
    by_seed = results.pivot_table(index="seed", columns="arm", values="mask_AP")[list(order)].dropna()
    seeds = sum(order_holds(row) for row in by_seed.to_numpy().tolist())
    means = ", ".join(number(summary.mean) for summary in summaries)
    numbers = f"({means}; in {seeds} of {len(by_seed)} seeds)"
    steps = list(zip(pairwise(order), pairwise(summaries), strict=True))
    wrong = [step_in_words(results, study, *arms) for arms, (low, high) in steps if not low.mean < high.mean]
    fails = any(high.mean < low.mean and not arms_overlap(high, low) for _, (low, high) in steps)
    unclear = [step_in_words(results, study, *arms) for arms, (low, high) in steps if arms_overlap(low, high)]
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
    study: Study,
    order: tuple[str, ...],
    subject: str,
    summaries: Sequence[Summary],
    spread: pd.DataFrame | None,
) -> Verdict:
    """Judge each step of an order by the interval of its difference, of which at least one has one seed only."""
    steps = {(low, high): one_seed_difference(results, high, low, "mask_AP", spread) for low, high in pairwise(order)}
    words = {arms: step_in_words(results, study, *arms, spread) for arms in steps}
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


def arms_overlap(one: Summary, other: Summary) -> bool:
    """Whether the intervals of two arms overlap."""
    return one.interval is not None and other.interval is not None and overlap(one.interval, other.interval)


def step_in_words(
    results: pd.DataFrame, study: Study, low_arm: str, high_arm: str, spread: pd.DataFrame | None = None
) -> str:
    """Difference of two arms in words, with the interval over paired seeds, which says more than the two alone."""
    difference = one_seed_difference(results, high_arm, low_arm, "mask_AP", spread)
    return f"{study.label(high_arm)} is {difference_in_words(difference)} against {study.label(low_arm)}"


def _differences(results: pd.DataFrame, study: Study, reference_arm: str, spread: pd.DataFrame | None) -> str:
    """Arms by whether the interval of their paired difference to the reference arm leaves out 0.

    The only other arm has a sentence of its own.
    """
    others = [arm for arm in study.arms if arm != reference_arm]
    if not others:
        return f"There is no arm beside {study.label(reference_arm)}."
    if not summarize_arm(results, reference_arm, "mask_AP").n:
        return f"{study.label(reference_arm)}, with which the others are compared, has no result."
    differences = {arm: one_seed_difference(results, arm, reference_arm, "mask_AP", spread) for arm in others}
    by_spread = [arm for arm, found in differences.items() if found.n == 1 and found.interval is not None]
    source = "" if spread is None or not by_spread else f" ({one_seed_source(spread, [*by_spread, reference_arm])})"
    if len(others) == 1 and (difference := differences[others[0]]).n:
        side = "" if difference.interval is None else f": by the interval {_side(difference).removesuffix(' from')}"
        return f"{step_in_words(results, study, reference_arm, others[0], spread)}{side}{source}."
    groups: dict[str, list[str]] = {side: [] for side in ("above", "below", "not told apart from", ONE_SEED)}
    lacking = []
    for arm, difference in differences.items():
        if difference.n == 0:
            lacking.append(study.label(arm))
            continue
        words = f"{study.label(arm)} ({number(difference.mean, sign='+')}"
        words += f", {span(*difference.interval, sign='+')})" if difference.interval else ")"
        groups[_side(difference)].append(words)
    sentences = [f"{name} {study.label(reference_arm)}: {', '.join(words)}" for name, words in groups.items() if words]
    sentences += [f"no result to compare: {', '.join(lacking)}"] if lacking else []
    return f"By the 95 % interval of the paired difference{source}, {'; '.join(sentences)}."


def _side(difference: Summary) -> str:
    if difference.interval is None:
        return ONE_SEED
    sides = {"above": above(difference.interval, 0.0), "below": below(difference.interval, 0.0)}
    return next((side for side, there in sides.items() if there), "not told apart from")
