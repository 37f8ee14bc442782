"""Compare a study's results with the committed reference of the same recipe."""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from analysis.labels import arm_label
from analysis.results import finished
from analysis.study import Study
from core.config.dotted import leaves
from core.record import METRICS, Record

# The same trial on the same type of CPU with the same versions is equal to the bit. Another CPU rounds float32 and
# bfloat16 sums in another order, and a training run amplifies that until it is as different as another seed would be.
# Two seeds differ with sqrt(2) times the arm's standard deviation over seeds: an arm may move by three times as much,
# so that with tens of arms few honest reproductions fail. At least 4 AP: what few seeds give as deviation may be small
# by chance, and one seed gives none.
TOLERANCE_AP = 4.0
DEVIATIONS = 3 * 2**0.5

Verdict = Literal["equal", "within tolerance", "differs", "missing", "other settings", "no common seed"]
FAILURES = ("differs", "missing")


@dataclass(frozen=True)
class ArmComparison:
    """Mean mask APs over the seeds that both have; `largest_gap` is the largest absolute difference of one seed."""

    arm: str
    verdict: Verdict
    ours: float
    reference: float
    largest_gap: float
    seeds: tuple[int, ...]
    detail: str
    tolerance: float  # AP


@dataclass(frozen=True)
class Comparison:
    """`close_pairs` are pairs of an expected order whose order the reference holds too close to be judged."""

    arms: tuple[ArmComparison, ...]
    order_changes: tuple[str, ...]
    close_pairs: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.order_changes and all(arm.verdict not in FAILURES for arm in self.arms)


def compare(
    results: pd.DataFrame,
    reference: pd.DataFrame,
    study: Study,
    *,
    records: dict[str, Record],
    reference_records: dict[str, Record],
    tolerance: float = TOLERANCE_AP,
) -> Comparison:
    """Judge each arm of the reference seed by seed, then the order of the arms.

    `equal` means every metric; the tolerance is for mask AP, in percent points, the largest difference of one seed. It
    is `tolerance`, or more for an arm whose seeds spread in the reference.
    An arm that was run with other settings or other data than the reference (by the records, where both have one) is
    reported and not judged, also where its trials failed. Trials that fail here and finished there with the same
    settings are `missing`.
    """
    arms = [arm for arm in study.arms if arm in set(finished(reference)["arm"])]
    arms += [arm for arm in dict.fromkeys(finished(reference)["arm"]) if arm not in arms]
    compared = tuple(
        _compare_arm(arm, results, reference, records, reference_records, tolerance=tolerance) for arm in arms
    )
    changes, close = _order_changes(compared, study.expected_orders)
    return Comparison(compared, tuple(changes), tuple(close))


def _compare_arm(
    arm: str,
    results: pd.DataFrame,
    reference: pd.DataFrame,
    records: dict[str, Record],
    reference_records: dict[str, Record],
    *,
    tolerance: float,
) -> ArmComparison:
    theirs = reference[reference["arm"] == arm].set_index("seed")
    theirs = theirs[theirs["mask_AP"].notna()]
    if len(theirs) > 1:
        tolerance = max(tolerance, DEVIATIONS * float(theirs["mask_AP"].std()))
    ours = results[results["arm"] == arm].set_index("seed")
    common = sorted(set(theirs.index) & set(ours.index))
    if ours.empty:
        return _unjudged(arm, "missing", theirs, "the arm was not run", tolerance)
    if not common:
        return _unjudged(arm, "no common seed", theirs, f"seeds here {sorted(ours.index)}", tolerance)
    ours, theirs = ours.loc[common], theirs.loc[common]
    changes: list[str] = []
    for seed in common:
        ours_record, theirs_record = (
            records.get(ours["trial_key"][seed]),
            reference_records.get(theirs["trial_key"][seed]),
        )
        if ours_record is not None and theirs_record is not None:
            changes += differing_settings(ours_record, theirs_record)
    for seed in common:
        if pd.isna(ours["mask_AP"][seed]):
            verdict = "other settings" if changes else "missing"
            detail = "; ".join(dict.fromkeys([f"seed {seed}: {ours['reason'][seed]}", *changes]))
            return _unjudged(arm, verdict, theirs, detail, tolerance)

    gap = float((ours["mask_AP"] - theirs["mask_AP"]).abs().max())
    unequal = [
        metric
        for metric in METRICS
        if not np.array_equal(ours[metric].astype(float), theirs[metric].astype(float), equal_nan=True)
    ]
    if changes:
        verdict, detail = "other settings", "; ".join(dict.fromkeys(changes))
    elif not unequal:
        verdict, detail = "equal", ""
    else:
        verdict, detail = (
            ("within tolerance" if gap <= tolerance else "differs"),
            f"largest gap {gap:.2f} mask AP, tolerance {tolerance:.1f}; unequal: {', '.join(unequal)}",
        )
    means = float(ours["mask_AP"].mean()), float(theirs["mask_AP"].mean())
    return ArmComparison(arm, verdict, *means, gap, tuple(common), detail, tolerance)


def _unjudged(arm: str, verdict: Verdict, theirs: pd.DataFrame, detail: str, tolerance: float) -> ArmComparison:
    nothing, mean = float("nan"), float(theirs["mask_AP"].mean())
    return ArmComparison(arm, verdict, nothing, mean, nothing, tuple(theirs.index), detail, tolerance)


def differing_settings(record: Record, reference: Record) -> list[str]:
    """`field: reference -> ours` for each setting that both records have and that differs, and for the data digest.

    What does not count for the identity of a training, such as where the data lies, is no difference. Nor is a setting
    that only one of them knows: it is a new or a removed field at its default.
    """
    ours, theirs = leaves(record.identity["config"]), leaves(reference.identity["config"])
    shared = [field for field in theirs if field in ours]
    changes = [f"{field}: {theirs[field]} -> {ours[field]}" for field in shared if ours[field] != theirs[field]]
    if record.data_digest != reference.data_digest:
        changes.append(f"data digest: {reference.data_digest} -> {record.data_digest}")
    return changes


def _order_changes(
    arms: tuple[ArmComparison, ...], expected: tuple[tuple[str, ...], ...]
) -> tuple[list[str], list[str]]:
    """Pairs of judged arms that changed places, and pairs of an expected order that are too close to be judged.

    A pair is judged where the reference holds it further apart than the two tolerances give together, as deviations of
    independent numbers: each arm may move by its own and still agree.
    """
    judged = [arm for arm in arms if arm.verdict in ("equal", "within tolerance", "differs")]
    changes, close = [], []
    for one, other in combinations(judged, 2):
        low, high = sorted((one, other), key=lambda arm: arm.reference)
        numbers = f"({low.reference:.1f}, {high.reference:.1f})"
        there = f"{arm_label(low.arm)} < {arm_label(high.arm)} in the reference {numbers}"
        if high.reference - low.reference > math.hypot(low.tolerance, high.tolerance):
            if low.ours >= high.ours:
                changes.append(f"{there}, not here ({low.ours:.1f}, {high.ours:.1f})")
        elif any({low.arm, high.arm} <= set(order) for order in expected):
            close.append(there)
    return changes, close
