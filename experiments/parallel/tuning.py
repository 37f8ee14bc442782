"""What a search takes from Tune: settings drawn at random, and trials that are stopped early."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.sample import Domain
from ray.tune.search.variant_generator import generate_variants

from experiments.search.file import Distribution, Halving

DIGITS = 6  # of a number that is drawn: people read and write it
MOST_EPOCHS = 10**6  # more than any training has


def draw(space: Mapping[str, Distribution], count: int, seed: int) -> list[dict[str, Any]]:
    """Draw so many points of the space, as Tune's `BasicVariantGenerator` does; the first ones do not depend on it."""
    domains = {name: _domain(distribution) for name, distribution in space.items()}
    random = np.random.RandomState(seed)
    drawn = [next(generate_variants({"config": domains}, random_state=random))[1]["config"] for _ in range(count)]
    return [{name: _rounded(value) for name, value in point.items()} for point in drawn]


def _domain(distribution: Distribution) -> Domain:
    if distribution.uniform is not None:
        return tune.uniform(*distribution.uniform)
    if distribution.loguniform is not None:
        return tune.loguniform(*distribution.loguniform)
    return tune.choice(distribution.choice)


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


class EarlyStopping(ASHAScheduler):
    """ASHA over the epochs with an evaluation; others report no metric. A trial at its end is never stopped."""

    def __init__(self, halving: Halving, metric: str) -> None:
        os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"  # else Tune refuses epochs without the metric
        super().__init__(
            time_attr="epoch",
            metric=metric,
            mode="max",
            max_t=MOST_EPOCHS,
            grace_period=halving.first_epoch,
            reduction_factor=halving.reduction_factor,
            stop_last_trials=False,
        )

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision = super().on_trial_result(tune_controller, trial, result)
        at_its_end = result.get("epoch") == result.get("epochs")
        return TrialScheduler.CONTINUE if at_its_end else decision
