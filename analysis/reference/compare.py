"""Compare a study's results with the committed reference of the same recipe, trial by trial."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import pandas as pd

from analysis.comparisons import LEVEL, holm
from analysis.reference.cpu_noise import CpuNoise
from analysis.reference.settings import differing_settings
from analysis.reference.trials import StudyReference, Trial, nearest, trials_of
from analysis.statistics import paired_difference
from analysis.study import Study
from core.record import METRICS, Record

Verdict = Literal["equal", "within tolerance", "differs", "missing", "other settings", "no common seed"]
FAILURES = ("differs", "missing")
NOT_JUDGED = ("other settings", "no common seed")
NOTHING = float("nan")


@dataclass(frozen=True)
class ArmComparison:
    """`ours` and `reference` are mask APs by seed; `ours` is empty if nothing could be compared."""

    arm: str
    verdict: Verdict
    seeds: tuple[int, ...]
    ours: dict[int, float]
    reference: dict[int, float]
    detail: str
    tolerance: float = NOTHING  # AP per seed

    @property
    def largest_gap(self) -> float:
        return max((abs(self.ours[seed] - self.reference[seed]) for seed in self.ours), default=NOTHING)

    @property
    def means(self) -> tuple[float, float]:
        """Mean mask AP of ours and of the reference."""
        return _mean(self.ours.values()), _mean(self.reference.values())


@dataclass(frozen=True)
class Comparison:
    """`judged_pairs` is the number of pairs of arms whose order was judged, `order_changes` names the reversed ones.

    `close_pairs` are pairs of an expected order that could not be judged.
    """

    arms: tuple[ArmComparison, ...]
    judged_pairs: int
    order_changes: tuple[str, ...]
    close_pairs: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.order_changes and all(arm.verdict not in FAILURES for arm in self.arms)

    @property
    def judged(self) -> bool:
        """Whether any arm could be compared."""
        return any(arm.verdict not in NOT_JUDGED for arm in self.arms)


def compare(
    results: pd.DataFrame, records: dict[str, Record], study: Study, reference: StudyReference, noise: CpuNoise
) -> Comparison:
    """Judge each arm of the reference seed by seed, then the order of the arms.

    A trial is compared with the reference's trial on the same type of CPU, or on the most similar one. `equal` refers
    to all metrics, the tolerance to mask AP. If settings or data of an arm differ from the reference (according to the
    records, if both have one), it is reported and not judged, even if its trials failed. Trials that failed here but
    finished in the reference with the same settings are `missing`.

    The order of two arms is judged if it is certain in the reference (they are told apart by their difference, paired
    by seed, after Holm's correction over all pairs) and their distance on the compared seeds exceeds the noise of both
    arms together.
    """
    ours = trials_of(results, records)
    finished = dict.fromkeys(trial.arm for trial in reference.trials if trial.finished)
    arms = [arm for arm in study.arms if arm in finished]
    arms += [arm for arm in finished if arm not in arms]
    compared = tuple(_compare_arm(arm, ours, reference, noise) for arm in arms)
    judged, changes, close = _judge_orders(compared, reference.results, study)
    return Comparison(compared, judged, tuple(changes), tuple(close))


def _compare_arm(arm: str, ours: Sequence[Trial], reference: StudyReference, noise: CpuNoise) -> ArmComparison:
    theirs = {trial.seed: [trial] for trial in reference.trials if trial.arm == arm and trial.finished}
    there = {seed: trials[0].mask_ap for seed, trials in theirs.items()}
    for trial, other in reference.cpu_pairs:
        if trial.arm == arm:
            theirs[trial.seed].append(other)
    own = {trial.seed: trial for trial in ours if trial.arm == arm}
    if not own:
        return ArmComparison(arm, "missing", tuple(theirs), {}, there, "the arm was not run")
    pairs = [(own[seed], nearest(own[seed].device, theirs[seed])) for seed in sorted(set(own) & set(theirs))]
    if not pairs:
        return ArmComparison(arm, "no common seed", tuple(theirs), {}, there, f"seeds here {sorted(own)}")
    seeds = tuple(trial.seed for trial, _ in pairs)
    changes = list(dict.fromkeys(change for pair in pairs for change in _changes(*pair)))
    failed = [f"seed {trial.seed}: {trial.reason}" for trial, _ in pairs if not trial.finished]
    if failed:
        detail = "; ".join([*failed, *changes])
        return ArmComparison(arm, "other settings" if changes else "missing", seeds, {}, there, detail)
    here, there = ({trial.seed: trial.mask_ap for trial in side} for side in zip(*pairs, strict=True))
    found = ArmComparison(arm, "equal", seeds, here, there, "", noise.tolerance(_mean(there.values()), len(pairs)))
    unequal = [name for name in METRICS if any(not _equal(*(trial.metrics[name] for trial in pair)) for pair in pairs)]
    if changes:
        return replace(found, verdict="other settings", detail="; ".join(changes))
    if not unequal:
        return found
    within = found.largest_gap <= found.tolerance
    detail = (
        f"largest gap {found.largest_gap:.2f} mask AP, tolerance {found.tolerance:.1f}, {_devices(pairs)}; "
        f"unequal: {', '.join(unequal)}"
    )
    return replace(found, verdict="within tolerance" if within else "differs", detail=detail)


def _changes(ours: Trial, theirs: Trial) -> list[str]:
    if ours.record is None or theirs.record is None:
        return []
    return differing_settings(ours.record, theirs.record)


def _devices(pairs: Sequence[tuple[Trial, Trial]]) -> str:
    """The types of CPU that are compared; on the same type, equal trials are equal to the bit."""
    known = [(ours.device, theirs.device) for ours, theirs in pairs if ours.device and theirs.device]
    others = dict.fromkeys(f"{ours} vs. {theirs}" for ours, theirs in known if ours != theirs)
    return " and ".join(others) or ("on the same type of CPU" if known else "type of CPU unknown")


def _equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values) if values else NOTHING


def _judge_orders(
    arms: Sequence[ArmComparison], reference: pd.DataFrame, study: Study
) -> tuple[int, list[str], list[str]]:
    """The number of judged pairs of arms, the reversed pairs, and the pairs of expected orders that are not judged."""
    comparable = [arm for arm in arms if arm.ours and arm.verdict not in NOT_JUDGED]
    judged, changes, close = 0, [], []
    pairs = [sorted(pair, key=lambda arm: arm.means[1]) for pair in combinations(comparable, 2)]
    differences = [paired_difference(reference, high.arm, low.arm, "mask_AP") for low, high in pairs]
    corrected = holm([difference.p_value for difference in differences])
    for (low, high), difference, p in zip(pairs, differences, corrected, strict=True):
        seeds = [seed for seed in low.seeds if seed in high.seeds]
        if not seeds:
            continue
        ours = _mean([high.ours[seed] - low.ours[seed] for seed in seeds])
        theirs = _mean([high.reference[seed] - low.reference[seed] for seed in seeds])
        numbers = f"({low.means[1]:.1f}, {high.means[1]:.1f})"
        there = f"{study.label(low.arm)} < {study.label(high.arm)} in the reference {numbers}"
        certain = p < LEVEL and difference.mean > 0
        if certain and theirs > math.hypot(low.tolerance, high.tolerance) / len(seeds) ** 0.5:
            judged += 1
            if ours <= 0:
                changes.append(f"{there}, not here ({low.means[0]:.1f}, {high.means[0]:.1f})")
        elif any({low.arm, high.arm} <= set(order) for order in study.expected_orders):
            close.append(f"{there}, {'within the noise' if certain else 'not certain there'}")
    return judged, changes, close
