"""The verdict on a study's expectation, judged by the 95 % intervals over seeds.

A single seed has no interval; the spread of the reference's seeds gives one.
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

ONE_SEED = "one seed, so no interval, difference to"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Outcome = Literal["holds", "does not hold", "undecided", "not judged", "no order expected"]


@dataclass(frozen=True)
class Verdict:
    """The means alone decide nothing: the outcome is `undecided` if the intervals overlap.

    It is `not judged` if there are no intervals: because of a hole, or one seed and no reference.
    """

    text: str
    outcome: Outcome

    @property
    def holds(self) -> bool | None:
        return {"holds": True, "does not hold": False}.get(self.outcome)


@dataclass(frozen=True)
class OwnWords:
    """What a view adds to a study's verdict: judgments, which count like the orders, and sentences after them."""

    judgments: tuple[Verdict, ...] = ()
    sentences: tuple[str, ...] = ()


def verdict(
    results: pd.DataFrame, study: Study, own: OwnWords = OwnWords(), spread: pd.DataFrame | None = None
) -> Verdict:
    """Judge each order that the study expects; without one, state which arms differ from the reference arm.

    An order holds if the means rise and the 95 % intervals of neighboring arms do not overlap. It does not hold if the
    means of two neighbors fall and their intervals do not overlap. The expectation holds if all orders do. Intervals
    that only touch overlap. If an arm has one seed, two neighbors are judged by the interval of their difference, which
    must exclude 0; `spread`, the reference's trials with the same settings, gives its width. `own` holds the judgments
    of the study's view on what the expectation says in words; the text states if anything is not judged.
    """
    judged = [*own.judgments, *(_order_verdict(results, study, order, spread) for order in study.expected_orders)]
    words = "The rest of the expectation is not judged." if study.has_words else ""
    if judged:
        text = " ".join([*(judgment.text for judgment in judged), words, *own.sentences])
        return Verdict(" ".join(text.split()), _together([judgment.outcome for judgment in judged]))
    text = "The study expects no order; other expectations are not judged." if words else "The study expects no order."
    if study.reference_arm is not None:
        text += f" {_differences(results, study, study.reference_arm, spread)}"
    return Verdict(" ".join([text, *own.sentences]), "no order expected")


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """The worst outcome; all hold only if each does."""
    by_weight: tuple[Outcome, ...] = ("does not hold", "not judged", "undecided", "holds")
    return min(outcomes, key=by_weight.index)


def _order_verdict(results: pd.DataFrame, study: Study, order: tuple[str, ...], spread: pd.DataFrame | None) -> Verdict:
    summaries = [summarize_arm(results, arm, "mask_AP") for arm in order]
    subject = f"Expected order of mask AP, {' < '.join(map(study.label, order))}:"
    lacking = [study.label(arm) for arm, summary in zip(order, summaries, strict=True) if summary.n == 0]
    if lacking:
        return Verdict(f"{subject} cannot be judged: no result for {', '.join(lacking)}.", "not judged")
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
        state = f"does not hold for the means {numbers}, but the intervals overlap"
        return Verdict(f"{subject} {state}: {'; '.join(wrong)}.", "undecided")
    if unclear:
        text = f"{subject} holds for the means {numbers}, but the intervals overlap: {'; '.join(unclear)}."
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
    """Judge each step of an order by the interval of its difference, if an arm of the order has only one seed."""
    steps = {(low, high): one_seed_difference(results, high, low, "mask_AP", spread) for low, high in pairwise(order)}
    words = {arms: step_in_words(results, study, *arms, spread) for arms in steps}
    rising = [low.mean < high.mean for low, high in pairwise(summaries)]
    wrong = [text for text, rises in zip(words.values(), rising, strict=True) if not rises]
    means = ", ".join(number(summary.mean) for summary in summaries)
    if spread is None or any(step.interval is None for step in steps.values()):
        by_seed = results.pivot_table(index="seed", columns="arm", values="mask_AP")[list(order)].dropna()
        seeds = sum(order_holds(row) for row in by_seed.to_numpy().tolist())
        state = f"does not hold: {'; '.join(wrong)}" if wrong else "holds"
        numbers = f"({means}; in {seeds} of {len(by_seed)} seeds)"
        text = f"{subject} cannot be judged from one seed {numbers}; for the means it {state}."
        return Verdict(text, "not judged")
    numbers = f"({means}; {one_seed_source(spread, order)})"
    if any(below(step.interval, 0.0) for step in steps.values()):
        return Verdict(f"{subject} DOES NOT HOLD {numbers}: {'; '.join(wrong)}.", "does not hold")
    unclear = [words[arms] for arms, step in steps.items() if not above(step.interval, 0.0)]
    if unclear:
        state = "does not hold" if wrong else "holds"
        text = (
            f"{subject} {state} for the means {numbers}, but differences are within that spread: {'; '.join(unclear)}."
        )
        return Verdict(text, "undecided")
    return Verdict(f"{subject} holds {numbers}.", "holds")


def one_seed_source(spread: pd.DataFrame, arms: Sequence[str]) -> str:
    """A phrase on how single seeds of these arms are judged."""
    seeds = int(spread[spread["arm"].isin(arms)].groupby("arm")["seed"].nunique().min())
    count = NUMBERS[seeds] if seeds < len(NUMBERS) else str(seeds)
    return f"one seed; judged by the spread of {count} seeds in the reference"


def arms_overlap(one: Summary, other: Summary) -> bool:
    """Whether the intervals of two arms overlap."""
    return one.interval is not None and other.interval is not None and overlap(one.interval, other.interval)


def step_in_words(
    results: pd.DataFrame, study: Study, low_arm: str, high_arm: str, spread: pd.DataFrame | None = None
) -> str:
    """The difference of two arms in words, with its interval over paired seeds."""
    difference = one_seed_difference(results, high_arm, low_arm, "mask_AP", spread)
    return f"{study.label(high_arm)} vs. {study.label(low_arm)}: {difference_in_words(difference)}"


def _differences(results: pd.DataFrame, study: Study, reference_arm: str, spread: pd.DataFrame | None) -> str:
    """The arms, grouped by whether the interval of their paired difference to the reference arm excludes 0.

    If there is only one other arm, it has its own sentence.
    """
    others = [arm for arm in study.arms if arm != reference_arm]
    if not others:
        return f"There is no other arm than {study.label(reference_arm)}."
    if not summarize_arm(results, reference_arm, "mask_AP").n:
        return f"The reference arm, {study.label(reference_arm)}, has no result."
    differences = {arm: one_seed_difference(results, arm, reference_arm, "mask_AP", spread) for arm in others}
    by_spread = [arm for arm, found in differences.items() if found.n == 1 and found.interval is not None]
    source = "" if spread is None or not by_spread else f" ({one_seed_source(spread, [*by_spread, reference_arm])})"
    if len(others) == 1 and (difference := differences[others[0]]).n:
        side = "" if difference.interval is None else f", so {_side(difference)} {study.label(reference_arm)}"
        return f"{step_in_words(results, study, reference_arm, others[0], spread)}{side}{source}."
    groups: dict[str, list[str]] = {side: [] for side in ("above", "below", "not distinguishable from", ONE_SEED)}
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
    return next((side for side, there in sides.items() if there), "not distinguishable from")
