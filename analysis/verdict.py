"""Whether a study's results are what it expects, judged by the 95 % intervals over seeds."""

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from analysis.labels import arm_label
from analysis.statistics import Summary, order_holds, paired_difference, summarize_arm
from analysis.studies.color_threshold import purity_sentence, thresholds
from analysis.study import Study
from analysis.tables.study_table import difference_in_words, number, span

ONE_SEED = "one seed and so no interval, difference to"


@dataclass(frozen=True)
class Verdict:
    """`holds` is None where the results cannot tell: no expectation, one seed, a hole, or intervals that overlap.

    Either way: what is expected neither holds nor fails by means alone.
    """

    text: str
    holds: bool | None


def verdict(results: pd.DataFrame, study: Study, edge_purity: pd.DataFrame | None = None) -> Verdict:
    """Judge each order that the study expects; without one, tell which arms differ from the reference arm.

    An order holds if the means rise and the 95 % intervals of neighbors in it do not overlap; it does not where the
    means of two neighbors fall and theirs do not overlap; the expectation holds if all orders do. `color_threshold` is
    also judged by whether τ = 0 is the worst, with `edge_purity` of the same data as a reason if it is not. What an
    expectation says in other words is not judged, and the text says so.
    """
    judged = [_order_verdict(results, order) for order in study.expected_orders]
    words = "The part in words is not judged." if study.has_words else ""
    if study.name == "color_threshold" and 0 in thresholds(results).to_numpy():
        judged.insert(0, _threshold_verdict(results, study, edge_purity))
        words = "What else the expectation says in words is not judged." if study.has_words else ""
    if judged:
        outcomes = {judgment.holds for judgment in judged}
        holds = False if False in outcomes else None if None in outcomes else True
        return Verdict(" ".join([*(judgment.text for judgment in judged), words]).strip(), holds)
    text = "The study expects no order; the part in words is not judged." if words else "The study expects no order."
    if study.reference_arm is not None:
        text += f" {_differences(results, study.arms, study.reference_arm)}"
    return Verdict(text, None)


def _order_verdict(results: pd.DataFrame, order: tuple[str, ...]) -> Verdict:
    summaries = [summarize_arm(results, arm, "mask_AP") for arm in order]
    subject = f"Expected order of mask AP, {' < '.join(map(arm_label, order))}:"
    lacking = [arm_label(arm) for arm, summary in zip(order, summaries, strict=True) if summary.n == 0]
    if lacking:
        return Verdict(f"{subject} cannot be judged, no result for {', '.join(lacking)}.", None)
    by_seed = results.pivot_table(index="seed", columns="arm", values="mask_AP")[list(order)].dropna()
    seeds = sum(order_holds(row) for row in by_seed.to_numpy().tolist())
    means = ", ".join(number(summary.mean) for summary in summaries)
    numbers = f"({means}; in {seeds} of {len(by_seed)} seeds)"
    steps = list(zip(pairwise(order), pairwise(summaries), strict=True))
    wrong = [_step(results, *arms) for arms, (low, high) in steps if not low.mean < high.mean]
    fails = any(high.mean < low.mean and not _overlap(high, low) for _, (low, high) in steps)
    unclear = [_step(results, *arms) for arms, (low, high) in steps if _overlap(low, high)]
    if any(summary.interval is None for summary in summaries):
        state = f"does not hold, {'; '.join(wrong)}" if wrong else "holds"
        return Verdict(f"{subject} cannot be judged with one seed; in the means it {state} {numbers}.", None)
    if fails:
        return Verdict(f"{subject} DOES NOT HOLD {numbers}: {'; '.join(wrong)}.", False)
    if wrong:
        state = f"does not hold in the means {numbers}, but intervals overlap"
        return Verdict(f"{subject} {state}: {'; '.join(wrong)}.", None)
    if unclear:
        return Verdict(f"{subject} holds in the means {numbers}, but intervals overlap: {'; '.join(unclear)}.", None)
    return Verdict(f"{subject} holds, and the 95 % intervals do not overlap {numbers}.", True)


def _overlap(low: Summary, high: Summary) -> bool:
    """Whether the intervals of two arms overlap, of which `low` has the lower mean."""
    return low.interval is not None and high.interval is not None and low.interval[1] >= high.interval[0]


def _step(results: pd.DataFrame, low_arm: str, high_arm: str) -> str:
    """Difference of two arms in words, with the interval over paired seeds, which says more than the two alone."""
    difference = paired_difference(results, high_arm, low_arm, "mask_AP")
    return f"{arm_label(high_arm)} is {difference_in_words(difference)} against {arm_label(low_arm)}"


def _differences(results: pd.DataFrame, arms: tuple[str, ...], reference_arm: str) -> str:
    """Arms by whether the interval of their paired difference to the reference arm leaves out 0.

    The only other arm has a sentence of its own.
    """
    others = [arm for arm in arms if arm != reference_arm]
    if not others:
        return f"There is no arm beside {arm_label(reference_arm)}."
    if not summarize_arm(results, reference_arm, "mask_AP").n:
        return f"{arm_label(reference_arm)}, with which the others are compared, has no result."
    if len(others) == 1 and (difference := paired_difference(results, others[0], reference_arm, "mask_AP")).n:
        side = "" if difference.interval is None else f": by the interval {_side(difference).removesuffix(' from')}"
        return f"{_step(results, reference_arm, others[0])}{side}."
    groups: dict[str, list[str]] = {side: [] for side in ("above", "below", "not told apart from", ONE_SEED)}
    lacking = []
    for arm in others:
        difference = paired_difference(results, arm, reference_arm, "mask_AP")
        if difference.n == 0:
            lacking.append(arm_label(arm))
            continue
        words = f"{arm_label(arm)} ({number(difference.mean, sign='+')}"
        words += f", {span(*difference.interval, sign='+')})" if difference.interval else ")"
        groups[_side(difference)].append(words)
    sentences = [f"{name} {arm_label(reference_arm)}: {', '.join(words)}" for name, words in groups.items() if words]
    sentences += [f"no result to compare: {', '.join(lacking)}"] if lacking else []
    return f"By the 95 % interval of the paired difference, {'; '.join(sentences)}."


def _side(difference: Summary) -> str:
    if difference.interval is None:
        return ONE_SEED
    low, high = difference.interval
    return "above" if low > 0 else "below" if high < 0 else "not told apart from"


def _threshold_verdict(results: pd.DataFrame, study: Study, edge_purity: pd.DataFrame | None) -> Verdict:
    """Whether τ = 0, where every pair of neighbors counts, is the worst of its column, and by how much."""
    values = thresholds(results)
    zero = values.index[values == 0][0]
    summaries = {arm: summarize_arm(results, arm, "mask_AP") for arm in study.arms if arm in values.index}
    judged = {arm: summary for arm, summary in summaries.items() if summary.n}
    subject = f"Expected: {arm_label(zero)} is the worst of its column."
    if zero not in judged or len(judged) < 2:
        return Verdict(f"{subject} Cannot be judged, no result for it or for the others.", None)
    numbers = ", ".join(f"{number(summary.mean)} at {arm_label(arm)}" for arm, summary in judged.items())
    others = {arm: summary for arm, summary in judged.items() if arm != zero}
    lowest = min(others, key=lambda arm: others[arm].mean)
    worst = judged[zero].mean < others[lowest].mean
    best = max(judged, key=lambda arm: judged[arm].mean)
    difference = paired_difference(results, zero, lowest, "mask_AP")
    against = difference_in_words(difference)
    if not difference.n:
        against = f"{number(judged[zero].mean - others[lowest].mean, sign='+')} AP (means; no seed in common)"
    one_seed = judged[zero].interval is None or others[lowest].interval is None
    pair = (judged[zero], others[lowest]) if worst else (others[lowest], judged[zero])
    overlap = _overlap(*pair)
    clear = "" if one_seed else f", with intervals that {'' if overlap else 'do not '}overlap"
    if worst:
        text = f"It is, {against} against the next worst, {arm_label(lowest)}{clear}."
    else:
        text = f"It is NOT: {arm_label(zero)} is {against} against {arm_label(lowest)}{clear}."
        text += f" {purity_sentence(edge_purity)}"
    text = f"{subject} {text} Means: {numbers}; best is {arm_label(best)}."
    if one_seed:
        return Verdict(f"{text} One seed, so this is no judgment.", None)
    return Verdict(text, None if overlap else worst)
