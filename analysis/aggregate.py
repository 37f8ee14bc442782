"""One number over several domains, with an interval: the interquartile mean and the stratified bootstrap.

As Agarwal et al. (2021, arXiv:2108.13264) do over tasks: the interquartile mean ignores the best and the worst
quarter, and the bootstrap draws seeds with replacement within each domain. The domains stay as they are: the interval
is about other seeds, not about other domains.
"""

from collections.abc import Sequence

import numpy as np

DRAWS = 2000
SEED = 0


def interquartile_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Mean of the middle half of the weight: a quarter is cut off at either end, in parts of a value where needed."""
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(weights[order]) / weights.sum()
    starts = np.concatenate([[0.0], ends[:-1]])
    kept = np.clip(np.minimum(ends, 0.75) - np.maximum(starts, 0.25), 0.0, None)
    return float(np.sum(kept * values[order]) / kept.sum())


def over_domains(scores: Sequence[Sequence[float]]) -> float:
    """The interquartile mean of all scores, one list of seeds for each domain; each domain has the same weight."""
    values = np.concatenate([np.asarray(domain, dtype=float) for domain in scores])
    weights = np.concatenate([np.full(len(domain), 1 / len(domain)) for domain in scores])
    return interquartile_mean(values, weights)


def bootstrap_interval(
    scores: Sequence[Sequence[float]], *, draws: int = DRAWS, seed: int = SEED
) -> tuple[float, float]:
    """The 95 % interval of `over_domains`, from draws of seeds with replacement within each domain.

    Raises:
        ValueError: for a domain with fewer than two seeds, whose spread is unknown.
    """
    if any(len(domain) < 2 for domain in scores):
        raise ValueError(f"domains with {[len(domain) for domain in scores]} seeds, expected at least two in each")
    generator = np.random.default_rng(seed)
    found = [over_domains([generator.choice(domain, len(domain)) for domain in scores]) for _ in range(draws)]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
