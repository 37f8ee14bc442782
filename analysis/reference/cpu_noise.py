"""How far two equal trainings may be apart that ran on different types of CPU: the tolerance of a comparison.

Another type of CPU adds the same numbers in another order, and a training amplifies the difference in rounding. How
much comes of it is measured: a reference holds trials of seed 0 from two types of CPU, `<study>` and
`other_cpu/<study>`.

The rule: of as many trials as one seed of the reference has, an honest run on another type of CPU has none further off
than the tolerance, in 95 % of cases. Each pair of equal trainings gives one difference d. A mask AP is a mean of
shares: near 0 it has nowhere to go, so d / sqrt(p (100 - p)) is taken for the noise, alike for all p, where p is the
pair's mean AP in percent. One pair an arm would be too little: all arms together give the sd, Student's t the bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.reference.trials import StudyReference, Trial, read_reference
from analysis.results import study_names
from analysis.statistics import simultaneous_bound

FLOOR_AP = 0.5  # arms near 0 AP: a tolerance of nothing would fail on the first rounding
LEAST_PAIRS = 3  # fewer say nothing about a spread
ASSUMED_AP = 4.0  # at 50 AP, where nothing was measured; half as much again as was measured on the generated shapes


@dataclass(frozen=True)
class CpuNoise:
    """`scaled` holds d / sqrt(p (100 - p)) of each pair, `comparisons` counts the trials that a run is compared in."""

    scaled: tuple[float, ...]
    devices: tuple[str, ...]  # types of CPU in the pairs, or of the reference where there are none
    comparisons: int

    @property
    def measured(self) -> bool:
        return len(self.scaled) >= LEAST_PAIRS

    def tolerance(self, ap: float, num_seeds: int = 1) -> float:
        """How far (AP) a trial of this mask AP may be off, where each arm is compared on so many seeds."""
        if self.measured:
            bound = simultaneous_bound(self.scaled, self.comparisons * num_seeds)
        else:
            bound = ASSUMED_AP / share_scale(50.0)
        return max(FLOOR_AP, bound * share_scale(ap))

    @property
    def sentence(self) -> str:
        """The tolerance and where it comes from."""
        size = f"Tolerance: {self.tolerance(50.0):.1f} AP for a seed of an arm at 50 AP"
        rest = f"; at p AP in proportion to sqrt(p (100 - p)), {FLOOR_AP:g} AP at least."
        if not self.measured:
            few = f"only {len(self.scaled)}" if self.scaled else "no"
            there = f" ({', '.join(self.devices)})" if self.devices else ""
            reason = f"the reference holds {few} equal trainings on two types of CPU{there}"
            return f"{size}, ASSUMED, not measured: {reason}{rest}"
        spread = float(np.mean(np.square(self.scaled))) ** 0.5 * share_scale(50.0)
        return (
            f"{size}, measured: {len(self.scaled)} equal trainings on {' and '.join(self.devices)} differ with a "
            f"standard deviation of {spread:.2f} AP there; by Student's t all of {self.comparisons} trials of an "
            f"honest run stay within, in 95 % of cases{rest}"
        )


def measure_noise(folder: Path) -> CpuNoise:
    """The noise between the two types of CPU of a reference, from all its studies.

    A training that stands in several studies counts once. Without pairs of trials there is nothing measured.

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
    """Of a pair's mean AP; 0 where both are 0, as of an arm that learns nothing on any CPU: it tells no noise."""
    return share_scale((trial.mask_ap + other.mask_ap) / 2)


def share_scale(ap: float) -> float:
    """Standard deviation of a share of `ap` percent but for a factor: 50 at 50 AP, 0 at 0 and 100."""
    return (ap * (100.0 - ap)) ** 0.5
