"""The tolerance of a comparison: how far equal trainings on different types of CPU may be apart.

Another type of CPU sums the same numbers in another order, and training amplifies the rounding differences. The effect
is measured: a reference contains trials of seed 0 from two types of CPU, `<study>` and `other_cpu/<study>`.

The rule: in 95 % of cases, no trial of a correct run on another type of CPU exceeds the tolerance, counting as many
trials as one seed of the reference has. Each pair of equal trainings gives one difference d. A mask AP is a mean of
shares and varies less near 0, so d / sqrt(p (100 - p)) is assumed to have the same spread for all p, where p is the
mean AP of the pair in percent. One pair per arm is too few, so all arms together give the sd; Student's t gives the
bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.reference.trials import StudyReference, Trial, read_reference
from analysis.results import study_names
from analysis.statistics import simultaneous_bound

FLOOR_AP = 0.5  # for arms near 0 AP, where rounding alone would exceed the tolerance
LEAST_PAIRS = 3  # fewer do not give a spread
ASSUMED_AP = 4.0  # at 50 AP, if nothing was measured; on the generated shapes 3.7 were


@dataclass(frozen=True)
class CpuNoise:
    """`scaled` holds d / sqrt(p (100 - p)) of each pair, `comparisons` is the number of compared trials of one seed."""

    scaled: tuple[float, ...]
    devices: tuple[str, ...]  # types of CPU in the pairs, or in the reference if there are none
    comparisons: int

    @property
    def measured(self) -> bool:
        return len(self.scaled) >= LEAST_PAIRS

    def tolerance(self, ap: float, num_seeds: int = 1) -> float:
        """The largest accepted difference (AP) of a trial with this mask AP, for `num_seeds` compared seeds per arm."""
        if self.measured:
            bound = simultaneous_bound(self.scaled, self.comparisons * num_seeds)
        else:
            bound = ASSUMED_AP / share_scale(50.0)
        return max(FLOOR_AP, bound * share_scale(ap))

    @property
    def sentence(self) -> str:
        """The tolerance and its origin."""
        size = f"Tolerance: {self.tolerance(50.0):.1f} AP per seed for an arm at 50 AP"
        rest = f". At p AP it is proportional to sqrt(p (100 - p)), and at least {FLOOR_AP:g} AP."
        if not self.measured:
            few = f"only {len(self.scaled)}" if self.scaled else "no"
            there = f" ({', '.join(self.devices)})" if self.devices else ""
            reason = f"the reference has {few} equal trainings on two types of CPU{there}"
            return f"{size}, ASSUMED, not measured: {reason}{rest}"
        spread = float(np.mean(np.square(self.scaled))) ** 0.5 * share_scale(50.0)
        return (
            f"{size}, measured: {len(self.scaled)} pairs of equal trainings on {' and '.join(self.devices)} differ "
            f"with a standard deviation of {spread:.2f} AP at 50 AP; by Student's t, all {self.comparisons} trials of "
            f"a correct run stay within the tolerance in 95 % of cases{rest}"
        )


def measure_noise(folder: Path) -> CpuNoise:
    """Measure the noise between the two types of CPU of a reference, over all its studies.

    A training that several studies share counts once.

    Raises:
        ValueError: if a file of the reference is malformed.
    """
    names = study_names(folder) if folder.is_dir() else []
    return noise_of([found for name in names if (found := read_reference(folder, name)) is not None])


def noise_of(references: Sequence[StudyReference]) -> CpuNoise:
    trials = [trial for reference in references for trial in reference.trials if trial.finished]
    pairs = {(trial.key, other.key): (trial, other) for reference in references for trial, other in reference.cpu_pairs}
    used = [(trial, other) for trial, other in pairs.values() if _scale(trial, other)]
    scaled = [(other.mask_ap - trial.mask_ap) / _scale(trial, other) for trial, other in used]
    devices = [trial.device for pair in zip(*used, strict=True) for trial in pair] or [trial.device for trial in trials]
    by_seed: dict[int, set[str]] = {}
    for trial in trials:
        by_seed.setdefault(trial.seed, set()).add(trial.key)
    comparisons = max(map(len, by_seed.values()), default=1)
    return CpuNoise(tuple(scaled), tuple(device for device in dict.fromkeys(devices) if device), comparisons)


def _scale(trial: Trial, other: Trial) -> float:
    """Scale of a pair's mean AP; 0 if both are 0, as for an arm that learns nothing: such a pair has no noise."""
    return share_scale((trial.mask_ap + other.mask_ap) / 2)


def share_scale(ap: float) -> float:
    """Standard deviation of a share of `ap` percent up to a factor: 50 at 50 AP, 0 at 0 and 100."""
    return (ap * (100.0 - ap)) ** 0.5
