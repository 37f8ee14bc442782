"""What Ray's own tools show of a trial: study, arm, seed and the varied values, in place of a number."""

from collections.abc import Sequence
from typing import Any

from ray import tune
from ray.tune.search import BasicVariantGenerator

from experiments.jobs import Job
from experiments.study import value_of

KEY = "trial_key"  # of the store; names the job of a trial


def describe_jobs(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Tune's config of the trial of each job: its key, study, arm and seed, and the fields that vary in the sweep.

    Each has every such field, also those that another study varies: a column in Tune's tables.
    """
    fields = tuple(dict.fromkeys(field for job in jobs for field in job.trial.varied))
    return [describe_job(job, fields) for job in jobs]


def search_for(configs: Sequence[dict[str, Any]], parallel: int) -> tuple[dict[str, Any], BasicVariantGenerator]:
    """Tune's `param_space` and `search_alg` for one trial of each config, in order, so many at once."""
    space = {name: tune.choice(list(dict.fromkeys(config[name] for config in configs))) for name in configs[0]}
    return space, BasicVariantGenerator(points_to_evaluate=list(configs), max_concurrent=parallel)


def describe_job(job: Job, fields: Sequence[str]) -> dict[str, Any]:
    """Key, study, arm and seed of a job, and its values of the fields; lists and the like as text."""
    trial = job.trial
    values = {field: value_of(trial.config, field) for field in fields}
    plain = {field: value if _is_plain(value) else str(value) for field, value in values.items()}
    return {KEY: job.key, "study": trial.study, "arm": trial.arm, "seed": trial.seed, **plain}


def name_trial(trial: Any) -> str:
    """Name of a trial of Tune, also of its folder; unique in the sweep, since equal jobs run once."""
    config = trial.config
    return f"{config['study']}-{config['arm']}-seed{config['seed']}"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
