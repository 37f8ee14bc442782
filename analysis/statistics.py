"""Mean, spread and interval over seeds; a difference between arms is paired by seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

RESAMPLES = 9999  # scipy's default; the interval's ends then move by about 1 % of its width between seeds of the draw
BOOTSTRAP_SEED = 0  # equal inputs give equal intervals


@dataclass(frozen=True)
class Summary:
    """`sd` is the sample's (n - 1), NaN below two values; `interval` is None there; `mean` is NaN for n = 0."""

    mean: float
    sd: float
    n: int
    interval: tuple[float, float] | None


def summarize(values: Sequence[float]) -> Summary:
    """Summarize one number a seed: mean, standard deviation, n and a 95 % bootstrap interval of the mean.

    Percentile bootstrap (scipy.stats.bootstrap). With the few seeds that one can afford it is too narrow rather than
    too wide: it can never leave the range of the values. NaN values are holes: left out, and n says so.
    """
    present = np.asarray(values, dtype=float)
    present = present[~np.isnan(present)]
    n = len(present)
    if n == 0:
        return Summary(float("nan"), float("nan"), 0, None)
    if n == 1:
        return Summary(float(present[0]), float("nan"), 1, None)
    interval = bootstrap(
        (present,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=0.95,
        method="percentile",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return Summary(float(present.mean()), float(present.std(ddof=1)), n, (float(interval.low), float(interval.high)))


def summarize_arm(results: pd.DataFrame, arm: str, metric: str) -> Summary:
    return summarize(results.loc[results["arm"] == arm, metric].tolist())


def paired_difference(results: pd.DataFrame, arm: str, reference_arm: str, metric: str) -> Summary:
    """Summarize arm minus reference arm over the seeds that both finished; n counts those seeds.

    One seed gives both arms the same initial weights and order of images, so that pairing removes what they share.
    """
    by_seed = results.pivot_table(index="seed", columns="arm", values=metric, dropna=False)
    return summarize((by_seed[arm] - by_seed[reference_arm]).tolist())


def share_of_gap(results: pd.DataFrame, arm: str, low_arm: str, high_arm: str, metric: str) -> Summary:
    """Summarize which share of the gap between two arms a third one closes, in percent, over the seeds of all three.

    Ratio of the mean paired differences, (arm - low) / (high - low); the interval draws seeds, so that numerator and
    denominator stay paired. NaN where the mean gap is not positive, and no interval where the gap of any seed is not: a
    draw of such seeds divides by nothing or turns the sign. `sd` is NaN: a seed may divide by almost nothing.
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
    if n == 1 or gap.min() <= 0:
        return Summary(share, nothing, n, None)
    interval = bootstrap(
        (closed, gap),
        lambda closed, gap, axis: 100 * closed.mean(axis=axis) / gap.mean(axis=axis),
        paired=True,
        n_resamples=RESAMPLES,
        confidence_level=0.95,
        method="percentile",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return Summary(share, nothing, n, (float(interval.low), float(interval.high)))


def order_holds(means: Sequence[float]) -> bool:
    """Whether values rise strictly from first to last; never with a NaN among them."""
    return all(low < high for low, high in pairwise(means))
