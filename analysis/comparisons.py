"""Which arms of a study are told apart: the one rule behind every verdict, table and page.

Two arms are compared by their difference in mask AP, paired by seed, with Student's t. A study makes several
comparisons: neighbors in the orders that it expects, every arm against the reference arm, and those that its view adds.
Two arms are told apart if the p of their difference is below 5 % after Holm's correction over all of them.

The seeds vary, the validation images do not: the verdict holds "given these images". Where the mask AP of both arms is
known for resampled images (`analysis.resampled_images`), interval and p include the sampling of images.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.power import smallest_gap
from analysis.resampled_images import with_images
from analysis.statistics import Summary, one_seed_difference
from analysis.study import Study

LEVEL = 0.05  # of Holm's correction: the probability of telling any two equal arms of a study apart


@dataclass(frozen=True)
class Pair:
    """Two arms to compare; the difference is `arm` minus `other`."""

    arm: str
    other: str
    metric: str = "mask_AP"

    @property
    def reversed(self) -> "Pair":
        return Pair(self.other, self.arm, self.metric)


@dataclass(frozen=True)
class OwnPairs:
    """What a view compares beside the rest; `results` have columns for metrics of its own (None: the study's)."""

    pairs: tuple[Pair, ...] = ()
    results: pd.DataFrame | None = None


@dataclass(frozen=True)
class Comparison:
    """`p_holm` is NaN without an interval. `images`: whether the interval covers the sampling of images."""

    pair: Pair
    difference: Summary
    p_holm: float
    images: bool

    @property
    def told_apart(self) -> bool:
        return self.p_holm < LEVEL

    @property
    def above(self) -> bool:
        return self.told_apart and self.difference.mean > 0

    @property
    def below(self) -> bool:
        return self.told_apart and self.difference.mean < 0

    @property
    def hangs_on_images(self) -> bool:
        """Whether the validation images widen the interval of the difference more than the seeds do."""
        found = self.difference
        of_images, of_seeds = replace(found, error=0.0), replace(found, images_error=0.0)
        return of_images.half_width(LEVEL) > of_seeds.half_width(LEVEL)

    @property
    def reversed(self) -> "Comparison":
        found = self.difference
        interval = None if found.interval is None else (-found.interval[1], -found.interval[0])
        return replace(self, pair=self.pair.reversed, difference=replace(found, mean=-found.mean, interval=interval))

    def smallest_gap(self, *, level: float = LEVEL) -> float:
        """The true gap (AP) that would be told apart at `level` in 80 % of cases with as many seeds; NaN if unknown."""
        found = self.difference
        return smallest_gap(found.error, found.freedom, found.images_error, level=level)


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of a study, which Holm's correction covers together; none is there twice."""

    found: dict[Pair, Comparison]

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.found.values())

    def __getitem__(self, pair: Pair) -> Comparison:
        """The comparison of two arms, in either direction."""
        return self.found[pair] if pair in self.found else self.found[pair.reversed].reversed

    @property
    def judged(self) -> list[Comparison]:
        """Those with an interval; their number is that of Holm's correction."""
        return [comparison for comparison in self if comparison.difference.interval is not None]

    @property
    def seeds(self) -> int:
        """The seeds of the comparison that has the fewest; 0 without one that has an interval."""
        return min((comparison.difference.n for comparison in self.judged), default=0)

    @property
    def images(self) -> bool:
        """Whether every interval of a mask AP covers the sampling of images."""
        of_ap = [comparison for comparison in self.judged if comparison.pair.metric == "mask_AP"]
        return bool(of_ap) and all(comparison.images for comparison in of_ap)

    def smallest_gap(self, *, corrected: bool = False) -> float:
        """The median, over comparisons, of the smallest true gap (AP) that is told apart; NaN if unknown.

        For a comparison that needs p < 5 %, as Holm's last; `corrected`: for the one that needs 5 % / all, his first.
        """
        level = LEVEL / (len(self.judged) if corrected else 1)
        gaps = [comparison.smallest_gap(level=level) for comparison in self.judged]
        return float(np.median(gaps)) if gaps else float("nan")


def compare_arms(
    results: pd.DataFrame,
    study: Study,
    own: OwnPairs = OwnPairs(),
    *,
    spread: pd.DataFrame | None = None,
    resampled: pd.DataFrame | None = None,
) -> Comparisons:
    """Compare the arms of a study.

    `spread` holds the reference's trials with the same settings, by whose seeds a single seed is judged; `resampled`
    the mask AP of trials on resampled images.
    """
    measured = results if own.results is None else own.results
    differences, images = {}, {}
    for pair in _pairs(study, own.pairs):
        known = spread if spread is not None and pair.metric in spread else None
        difference = one_seed_difference(measured, pair.arm, pair.other, pair.metric, known)
        covered = None
        if pair.metric == "mask_AP" and resampled is not None:
            covered = with_images(difference, results, pair.arm, pair.other, resampled)
        differences[pair], images[pair] = covered or difference, covered is not None
    corrected = holm([difference.p_value for difference in differences.values()])
    return Comparisons(
        {
            pair: Comparison(pair, differences[pair], p, images[pair])
            for pair, p in zip(differences, corrected, strict=True)
        }
    )


def _pairs(study: Study, own: Iterable[Pair]) -> list[Pair]:
    """Each pair of arms once, of arms that have rows in the results."""
    pairs = [Pair(high, low) for order in study.expected_orders for low, high in pairwise(order)]
    if study.reference_arm is not None:
        pairs += [Pair(arm, study.reference_arm) for arm in study.arms if arm != study.reference_arm]
    kept: dict[Pair, None] = {}
    for pair in [*pairs, *own]:
        if {pair.arm, pair.other} <= set(study.arms) and pair.reversed not in kept:
            kept.setdefault(pair)
    return list(kept)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number, step by step from the smallest (Holm 1979); NaN stays, uncounted.

    The k-th smallest of m is multiplied by m - k + 1, is at least the corrected one before it, and at most 1.
    """
    corrected = [float("nan")] * len(p_values)
    order = sorted((index for index, p in enumerate(p_values) if not np.isnan(p)), key=lambda index: p_values[index])
    largest = 0.0
    for step, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * p_values[index]))
        corrected[index] = largest
    return corrected
