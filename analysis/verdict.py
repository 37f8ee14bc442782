"""The verdict on a study's expectation, by the rule of `analysis.comparisons`: which arms are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import pandas as pd

from analysis.comparisons import Comparison, Comparisons, Pair
from analysis.statistics import order_holds, summarize_arm
from analysis.study import Study
from analysis.tables.study_table import difference_in_words, number, p_in_words, span
from core.record import METRICS

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Outcome = Literal["holds", "does not hold", "not told apart", "no result", "no order expected", "not run"]
LACKING = "no common seed"


@dataclass(frozen=True)
class Verdict:
    """`finding` is the order, or what else was judged; `reason` the numbers behind the outcome; `text` says it all.

    The means alone decide nothing: the outcome is `not told apart` where an order holds for them, but not every step is
    told apart, or there is one seed and no reference.
    """

    text: str
    outcome: Outcome
    reason: str = ""
    finding: str = ""

    @property
    def holds(self) -> bool | None:
        return {"holds": True, "does not hold": False}.get(self.outcome)


@dataclass(frozen=True)
class OwnWords:
    """What a view adds to a study's verdict: judgments, which count like the orders, and sentences after them."""

    judgments: tuple[Verdict, ...] = ()
    sentences: tuple[str, ...] = ()


def verdict(
    results: pd.DataFrame,
    study: Study,
    compared: Comparisons,
    own: OwnWords = OwnWords(),
    spread: pd.DataFrame | None = None,
) -> Verdict:
    """Judge each order that the study expects; without one, state which arms differ from the reference arm.

    An order holds if each of its steps is told apart, and upwards; it does not hold if a step is told apart downwards.
    The expectation holds if all orders do. `spread` are the reference's trials by which a single seed was compared.
    `own` holds the judgments of the study's view on what the expectation says in words; the text states if anything is
    not judged.
    """
    judged = judgments(results, study, compared, own, spread)
    words = "The rest of the expectation is no order of arms, so no rule judges it." if study.has_words else ""
    twins = twins_in_words(results, study)
    if judged:
        text = " ".join([*(judgment.text for judgment in judged), words, *own.sentences, twins])
        outcome = _together([judgment.outcome for judgment in judged])
        reasons = dict.fromkeys(judgment.reason for judgment in judged if judgment.outcome == outcome)
        return Verdict(" ".join(text.split()), outcome, "; ".join(reason for reason in reasons if reason))
    stated = f' of arms, but "{study.expectation.rstrip(".")}"' if words else ""
    words = f"The study expects no order{stated}."
    found, reason = "", ""
    if study.reference_arm is not None:
        found, reason = _differences(results, study, study.reference_arm, compared, spread)
    return Verdict(
        " ".join([text for text in (words, found, *own.sentences, twins) if text]), "no order expected", reason
    )


def judgments(
    results: pd.DataFrame,
    study: Study,
    compared: Comparisons,
    own: OwnWords = OwnWords(),
    spread: pd.DataFrame | None = None,
) -> list[Verdict]:
    """The findings of a study, each judged for itself: those of its view, then the orders that it expects."""
    orders = [_order_verdict(results, study, order, compared, spread) for order in study.expected_orders]
    return [*own.judgments, *orders]


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """The worst outcome; all hold only if each does."""
    by_weight: tuple[Outcome, ...] = ("does not hold", "no result", "not told apart", "holds")
    return min(outcomes, key=by_weight.index)


def _order_verdict(
    results: pd.DataFrame, study: Study, order: tuple[str, ...], compared: Comparisons, spread: pd.DataFrame | None
) -> Verdict:
    summaries = [summarize_arm(results, arm, "mask_AP") for arm in order]
    finding = " < ".join(map(study.label, order))
    subject = f"Expected order of mask AP, {finding}:"
    lacking = [study.label(arm) for arm, summary in zip(order, summaries, strict=True) if summary.n == 0]
    if lacking:
        reason = f"no result for {', '.join(lacking)}"
        return Verdict(f"{subject} cannot be judged: {reason}.", "no result", reason, finding)
    steps = [compared[Pair(high, low)] for low, high in pairwise(order)]
    by_seed = results.pivot_table(index="seed", columns="arm", values="mask_AP")[list(order)].dropna()
    seeds = sum(order_holds(row) for row in by_seed.to_numpy().tolist())
    means = ", ".join(number(summary.mean) for summary in summaries)
    numbers = f"({means}; in {seeds} of {len(by_seed)} seeds)"
    rises = order_holds([summary.mean for summary in summaries])
    source = source_in_words(compared, steps, spread)
    wrong = [step_in_words(study, step) for step in steps if step.below]
    if wrong:
        text = f"{subject} DOES NOT HOLD {numbers}: {'; '.join(wrong)} ({source})."
        return Verdict(text, "does not hold", wrong[0], finding)
    unclear = [step for step in steps if not step.above]
    if unclear:
        state = "holds for the means" if rises else "does not hold for the means"
        text = f"{subject} {state} {numbers}, but {not_apart_in_words(study, unclear)} ({source})."
        return Verdict(text, "not told apart", step_in_words(study, unclear[0]), finding)
    smallest = min(steps, key=lambda step: step.difference.mean)
    text = f"{subject} holds {numbers}: all steps are told apart ({source})."
    return Verdict(text, "holds", f"smallest step {step_in_words(study, smallest)}", finding)


def not_apart_in_words(study: Study, steps: Sequence[Comparison]) -> str:
    """The steps that are not told apart, and of what there is too little: seeds, or validation images."""
    lacking = "validation images" if all(step.hangs_on_images for step in steps) else "seeds"
    return f"too few {lacking} tell the arms apart: {'; '.join(step_in_words(study, step) for step in steps)}"


def source_in_words(compared: Comparisons, judged: Sequence[Comparison], spread: pd.DataFrame | None) -> str:
    """What the judgment of some comparisons rests on: the rule, the number of comparisons, seeds and images."""
    single = [comparison for comparison in judged if comparison.difference.n == 1]
    if any(comparison.difference.interval is None for comparison in single):
        return "one seed has no interval"
    seeds = "paired over seeds"
    if single and spread is not None:
        arms = {arm for comparison in single for arm in (comparison.pair.arm, comparison.pair.other)}
        count = int(spread[spread["arm"].isin(arms)].groupby("arm")["seed"].nunique().min())
        seeds = f"one seed; judged by the spread of {_count(count)} seeds in the reference"
    corrected = f"Holm's correction for {_comparisons(compared)}"
    if judged and all(comparison.images for comparison in judged):
        return f"{seeds} and over resampled images, {corrected}"
    return f"{seeds}, {corrected}, given these images"


def _comparisons(compared: Comparisons) -> str:
    number_of = len(compared.judged)
    return f"{_count(number_of)} comparison{'' if number_of == 1 else 's'}"


def _count(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def twins_in_words(results: pd.DataFrame, study: Study) -> str:
    """Which arms gave equal results to the last digit in every seed, so are one arm here; empty if none did."""
    finished = results[results["mask_AP"].notna()]
    numbers = {arm: finished[finished["arm"] == arm].set_index("seed")[list(METRICS)] for arm in study.arms}
    twins = [
        f"{study.label(one)} and {study.label(other)}"
        for one, other in combinations(study.arms, 2)
        if len(numbers[one]) and numbers[one].sort_index().equals(numbers[other].sort_index())
    ]
    return f"Equal in every number of every seed, so one arm here: {'; '.join(twins)}." if twins else ""


def gap_in_words(compared: Comparisons) -> str:
    """The smallest gap that the seeds of a study can show, or why that is unknown."""
    if not compared.judged:
        return "The smallest gap that could be told apart is unknown: no difference has an interval."
    seeds = f"{_count(compared.seeds)} seed{'' if compared.seeds == 1 else 's'}"
    alone, first = (compared.smallest_gap(corrected=corrected) for corrected in (False, True))
    strict = f"; {number(first)} AP where it is the first of Holm's {_comparisons(compared)}"
    return (
        f"{seeds[0].upper()}{seeds[1:]} tell{'s' if compared.seeds == 1 else ''} two arms of this study apart in 80 % "
        f"of cases if their true gap is {number(alone)} AP (median over its comparisons)"
        f"{strict if len(compared.judged) > 1 else ''}."
    )


def step_in_words(study: Study, step: Comparison) -> str:
    """The difference of two arms in words, with its interval and its p after Holm's correction."""
    found = difference_in_words(step.difference, step.p_holm) if step.difference.n else LACKING
    return f"{study.label(step.pair.arm)} vs. {study.label(step.pair.other)}: {found}"


def apart_in_words(comparison: Comparison) -> str:
    return "told apart" if comparison.told_apart else "not told apart"


def _differences(
    results: pd.DataFrame, study: Study, reference_arm: str, compared: Comparisons, spread: pd.DataFrame | None
) -> tuple[str, str]:
    """The arms, grouped by whether they are told apart from the reference arm, as a sentence and in a few words.

    If there is only one other arm, it has its own sentence.
    """
    name = study.label(reference_arm)
    others = [arm for arm in study.arms if arm != reference_arm]
    if not others:
        return f"There is no other arm than {name}.", "one arm"
    if not summarize_arm(results, reference_arm, "mask_AP").n:
        return f"The reference arm, {name}, has no result.", f"no result for {name}"
    found = {arm: compared[Pair(arm, reference_arm)] for arm in others}
    source = source_in_words(compared, [one for one in found.values() if one.difference.n], spread)
    if len(others) == 1 and (only := found[others[0]]).difference.n:
        words = step_in_words(study, only)
        return f"{words}, so {_side(only)} {name} ({source}).", f"{_side(only)} {name}: {words}"
    groups: dict[str, list[str]] = {side: [] for side in ("above", "below", "not told apart from", "one seed beside")}
    lacking = []
    for arm, comparison in found.items():
        difference = comparison.difference
        if difference.n == 0:
            lacking.append(study.label(arm))
            continue
        inside = [number(difference.mean, sign="+")]
        if difference.interval is not None:
            inside += [span(*difference.interval, sign="+"), p_in_words(comparison.p_holm)]
        groups[_side(comparison)].append(f"{study.label(arm)} ({', '.join(inside)})")
    sentences = [f"{side} {name}: {', '.join(words)}" for side, words in groups.items() if words]
    sentences += [f"no result to compare: {', '.join(lacking)}"] if lacking else []
    counts = [f"{len(words)} {side} {name}" for side, words in groups.items() if words]
    return f"By the difference, {source}, {'; '.join(sentences)}.", ", ".join(counts)


def _side(comparison: Comparison) -> str:
    if comparison.difference.interval is None:
        return "one seed beside"
    return "above" if comparison.above else "below" if comparison.below else "not told apart from"
