"""What Ray's own tools show of a trial: study, arm, seed and the varied values, in place of a number."""

from collections.abc import Callable, Sequence
from typing import Any

from ray import tune

from experiments.jobs import Job
from experiments.study import value_of

KEY = "trial_key"  # of the store; names the job of a trial


def trial_space(jobs: Sequence[Job]) -> dict[str, Any]:
    """Tune's `param_space`: one trial for each job, in their order.

    A trial's config has the key of its job, study, arm and seed, and its value of every field that varies in the sweep,
    also where another study varies it: a column for each in Tune's tables.
    """
    fields = tuple(dict.fromkeys(field for job in jobs for field in job.trial.varied))
    described = {job.key: describe_job(job, fields) for job in jobs}

    def of_trial(name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda spec: described[spec["config"][KEY]][name]

    names = ("study", "arm", "seed", *fields)
    return {KEY: tune.grid_search(list(described)), **{name: tune.sample_from(of_trial(name)) for name in names}}


def describe_job(job: Job, fields: Sequence[str]) -> dict[str, Any]:
    """Study, arm and seed of a job, and its values of the fields; lists and the like as text."""
    trial = job.trial
    values = {field: value_of(trial.config, field) for field in fields}
    plain = {field: value if _is_plain(value) else str(value) for field, value in values.items()}
    return {"study": trial.study, "arm": trial.arm, "seed": trial.seed, **plain}


def name_trial(trial: Any) -> str:
    """Name of a trial of Tune, also of its folder; unique in the sweep, since equal jobs run once."""
    config = trial.config
    return f"{config['study']}-{config['arm']}-seed{config['seed']}"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
