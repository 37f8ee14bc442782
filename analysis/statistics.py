"""Mean, standard deviation and interval over seeds; differences between arms are paired by seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student_t

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """`sd` is the sample standard deviation, NaN for n < 2, where `interval` is None. `mean` is NaN for n = 0.

    Of a difference, `error` is its standard error over seeds, `freedom` the degrees of freedom of Student's t, and
    `images_error` the standard error over validation images, 0 if these are taken as given: they make the interval and
    `p_value`. NaN where there is no interval.
    """

    mean: float
    sd: float
    n: int
    interval: tuple[float, float] | None
    error: float = float("nan")
    freedom: float = float("nan")
    images_error: float = 0.0

    def half_width(self, level: float) -> float:
        """Half of the interval that misses the true value in a share `level` of cases.

        The half-widths for seeds and for images are added in squares (Zou and Donner's MOVER). Satterthwaite's degrees
        of freedom for their sum would make an interval narrower by adding an uncertainty: few seeds, many images.
        """
        of_seeds = student_t.isf(level / 2, self.freedom) * self.error if self.error else 0.0
        return float(np.hypot(of_seeds, norm.isf(level / 2) * self.images_error))

    @property
    def p_value(self) -> float:
        """Two-sided p that the true value is 0: the level whose interval ends at 0. NaN without an interval."""
        if self.interval is None:
            return float("nan")
        size = abs(self.mean)
        if not size or not (self.error or self.images_error):
            return 0.0 if size else 1.0
        of_seeds = 2 * student_t.sf(size / self.error, self.freedom) if self.error else 0.0
        of_images = 2 * norm.sf(size / self.images_error) if self.images_error else 0.0
        least = float(max(of_seeds, of_images))  # either uncertainty alone
        if not least or not self.error or not self.images_error:
            return least
        lowest = np.log(least) - 1.0  # where the interval is wider
        return float(np.exp(brentq(lambda log_level: self.half_width(np.exp(log_level)) - size, lowest, 0.0)))


def summarize(values: Sequence[float]) -> Summary:
    """Summarize one number per seed: mean, standard deviation, n and the 95 % interval of the mean.

    Student's t interval, mean ± t sd / sqrt(n). A bootstrap cannot leave the range of the values: for three seeds it
    gives exactly that range, which contains the true mean in only 75 % of cases. The t interval is wide: ± 2.5 sd for
    three seeds, and it may leave 0..100. NaN values are holes; they are excluded and not counted in n.
    """
    present = np.asarray(values, dtype=float)
    present = present[~np.isnan(present)]
    n = len(present)
    if n == 0:
        return Summary(float("nan"), float("nan"), 0, None)
    if n == 1:
        return Summary(float(present[0]), float("nan"), 1, None)
    mean, sd = float(present.mean()), float(present.std(ddof=1))
    return with_error(Summary(mean, sd, n, None), sd / n**0.5, n - 1)


def with_error(summary: Summary, error: float, freedom: float, images_error: float = 0.0) -> Summary:
    """The summary with the 95 % interval of these standard errors; `freedom` is that of the one over seeds."""
    known = replace(summary, error=float(error), freedom=float(freedom), images_error=float(images_error))
    half = known.half_width(1 - CONFIDENCE)
    return replace(known, interval=(summary.mean - half, summary.mean + half))


def _quantile(n: int) -> float:
    """Two-sided 95 % quantile of Student's t for n values."""
    return student_t.ppf((1 + CONFIDENCE) / 2, n - 1)


def summarize_arm(results: pd.DataFrame, arm: str, metric: str) -> Summary:
    return summarize(results.loc[results["arm"] == arm, metric].tolist())


def paired_difference(results: pd.DataFrame, arm: str, reference_arm: str, metric: str) -> Summary:
    """Summarize arm minus reference arm over the n seeds that both finished.

    Arms with the same seed share initial weights and order of images, so pairing removes this common variation.
    """
    one, other = (results[results["arm"] == name].set_index("seed")[metric] for name in (arm, reference_arm))
    return summarize((one - other).tolist())


def one_seed_difference(
    results: pd.DataFrame, arm: str, reference_arm: str, metric: str, spread: pd.DataFrame | None
) -> Summary:
    """Like `paired_difference`, but with an interval for a single seed, from the spread of other seeds.

    Student's prediction interval, difference ± t sd sqrt(1 + 1 / n): in 95 % of cases it contains the mean difference
    over n other seeds, and the true mean slightly more often. sd is the standard deviation of the differences in
    `spread`, trials of the same two arms with n seeds: paired by seed if they share at least two seeds, else from the
    deviations of each arm (Welch). No interval if neither is possible. If the single seed is also in `spread`, the
    interval is wider than necessary.
    """
    difference = paired_difference(results, arm, reference_arm, metric)
    if difference.n != 1 or spread is None or not {arm, reference_arm} <= set(spread["arm"]):
        return difference
    paired = paired_difference(spread, arm, reference_arm, metric)
    if paired.n > 1:
        return with_error(difference, paired.sd * (1 + 1 / paired.n) ** 0.5, paired.n - 1)
    one, other = (summarize_arm(spread, name, metric) for name in (arm, reference_arm))
    if one.n < 2 or other.n < 2:
        return difference
    variances = [side.sd**2 * (1 + 1 / side.n) for side in (one, other)]
    parts = sum(variance**2 / (side.n - 1) for variance, side in zip(variances, (one, other), strict=True))
    return with_error(difference, sum(variances) ** 0.5, sum(variances) ** 2 / parts if parts else 1.0)


def share_of_gap(results: pd.DataFrame, arm: str, low_arm: str, high_arm: str, metric: str) -> Summary:
    """Summarize the share of the gap between two arms that a third one closes, in percent, over their common seeds.

    Ratio of the mean paired differences, (arm - low) / (high - low), with Fieller's interval: the ratios r for which
    Student's t test does not reject that the mean of (arm - low) - r (high - low) is 0. NaN if the mean gap is not
    positive; no interval if that of the gap itself contains 0: it is then unbounded on at least one side. `sd` is NaN:
    the gap of a single seed may be close to 0.
    """
    by_seed = results.pivot_table(index="seed", columns="arm", values=metric, dropna=False)
    by_seed = by_seed[list(dict.fromkeys((low_arm, arm, high_arm)))].dropna()
    closed = (by_seed[arm] - by_seed[low_arm]).to_numpy()
    gap = (by_seed[high_arm] - by_seed[low_arm]).to_numpy()
    n = len(gap)
    nothing = float("nan")
    if n == 0 or gap.mean() <= 0:
        return Summary(nothing, nothing, n, None)
    share = 100 * float(closed.mean() / gap.mean())
    interval = _fieller(closed, gap) if n > 1 else None
    return Summary(share, nothing, n, None if interval is None else (100 * interval[0], 100 * interval[1]))


def _fieller(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the ratio of two paired means; None if it is unbounded.

    Its ends are the roots r of (mean(numerator - r denominator))^2 = t^2 var(numerator - r denominator) / n.
    """
    n = len(numerator)
    ((var_numerator, covariance), (_, var_denominator)) = np.cov(numerator, denominator) * _quantile(n) ** 2 / n
    squared = denominator.mean() ** 2 - var_denominator
    if squared <= 0:
        return None
    middle = numerator.mean() * denominator.mean() - covariance
    rest = numerator.mean() ** 2 - var_numerator
    root = max(middle**2 - squared * rest, 0.0) ** 0.5  # negative only by rounding
    return float((middle - root) / squared), float((middle + root) / squared)


def simultaneous_bound(errors: Sequence[float], comparisons: int) -> float:
    """A bound on the absolute value of `comparisons` further errors: in 95 % of cases none exceeds it.

    The errors are assumed to have mean 0: sd is sqrt(sum of squares / n) with n degrees of freedom, so a common offset
    counts as spread. The bound is t sd, where each further error exceeds it in 5 % / `comparisons` of cases
    (Bonferroni).

    Raises:
        ValueError: if there are no errors or no comparisons.
    """
    if not len(errors) or comparisons < 1:
        raise ValueError(f"{len(errors)} errors and {comparisons} comparisons, expected at least one of each")
    n = len(errors)
    sd = float(np.mean(np.square(errors))) ** 0.5
    return float(student_t.ppf(1 - (1 - CONFIDENCE) / (2 * comparisons), n)) * sd


def order_holds(means: Sequence[float]) -> bool:
    """Whether values rise strictly from first to last; False if one is NaN."""
    return all(low < high for low, high in pairwise(means))
