"""What studies cost, before anything runs: schedules, network sizes, device-hours, and the published numbers.

Needs no data, weights or Ray. If the data is there, the plan takes from it the number of classes and the steps per
epoch, and shows which trials are finished.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from core.config import Config
from experiments.jobs import list_jobs, waiting
from experiments.planning.arm_cost import ArmCosts
from experiments.planning.data_facts import KnownData
from experiments.planning.known_sizes import NUM_MASKS
from experiments.planning.remembered import Remembered
from experiments.provenance import provenance
from experiments.store import Store
from experiments.study import Study, different_fields, value_of

PLAN = Path(".plan.json")  # what this command remembers
PUBLISHED_CSV = Path(__file__).parents[2] / "analysis" / "published.csv"
TERAFLOPS = 20.0  # sustained, not peak; an assumption, for an A100-class GPU at float32 with tensor cores
BACKWARD = 2  # cost relative to the forward pass; frozen stages cost less


def device_hours(samples: int, forward_flops: int, teraflops: float) -> float:
    """Hours of training on one device at `teraflops` sustained TFLOP/s, without data loading, losses and evaluation.

    Raises:
        ValueError: if `teraflops` is not above 0.
    """
    if not teraflops > 0:
        raise ValueError(f"--teraflops is {teraflops:g}, expected more than 0")
    return samples * (1 + BACKWARD) * forward_flops / (teraflops * 1e12) / 3600


def published_numbers(path: Path, study: str, arm: str) -> list[tuple[str, str]]:
    """Mask APs that others published for an arm, each with its split and status, and the meaning of the status.

    Rows of the CSV match by study and arm, or by the name of AdelaiDet's model.

    Raises:
        ValueError: if the file cannot be read.
    """
    places = {(study, arm), ("zoo", f"adelaidet_{arm}")}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if (row["table"], row["row"]) in places]
    except (OSError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read as a table of published numbers: {error}") from error
    known = [row for row in rows if row["metric"] == "mask_AP" and row["value"]]
    numbers = [
        (f"{row['value']} on {row['split']} ({row['status']})", f"{row['status']}: {row['status_meaning']}")
        for row in known
    ]
    return list(dict.fromkeys(numbers))


def difference(config: Config, first: Config) -> str:
    """The settings of `config` that differ from `first`, except for the name of the recipe."""
    fields = [field for field in different_fields((first, config)) if field != "name"]
    return ", ".join(f"{field}={value_of(config, field)}" for field in fields)


def describe_study(study: Study, costs: ArmCosts, teraflops: float, published_csv: Path = PUBLISHED_CSV) -> str:
    """Lines for each arm: recipe, difference from the first arm, schedule, size, device-hours, published mask AP."""
    trials = study.first_trials
    first = trials[0]
    meanings: dict[str, None] = {}
    total, unknown = 0.0, 0
    lines = [f"{study.name}: {study.question}", f"expected: {study.expectation}"]
    for trial in trials:
        arm = costs.of(trial.config)
        cost = f"{arm.parameters / 1e6:.2f} M parameters with {arm.num_classes} classes, "
        if arm.images_seen is None or arm.forward_flops is None:
            cost += "device-hours unknown"
            unknown += 1
        else:
            hours = device_hours(arm.images_seen, arm.forward_flops, teraflops)
            total += hours * len(study.seeds)
            cost += (
                f"{arm.forward_flops / 1e9:.4g} GFLOP forward at {arm.height}x{arm.width} px, "
                f"{hours:.3g} device-hours{' including its teacher' if arm.trainings == 2 else ''}"
            )
        published = published_numbers(published_csv, study.name, trial.arm)
        meanings |= dict.fromkeys(meaning for _, meaning in published)
        lines += [
            f"{trial.arm}: recipe {trial.config.name}",
            *(
                [f"    differs from {first.arm}: {difference(trial.config, first.config)}"]
                if trial is not first
                else []
            ),
            f"    {arm.schedule}",
            f"    {cost}",
            f"    published mask AP: {'; '.join(number for number, _ in published) or 'none known'}",
        ]
    hours = f"{total:.3g} device-hours" if total else "device-hours unknown"
    if total and unknown:
        hours += f" without the {unknown} unknown"
    lines += [
        f"{len(study.arms)} arms x {len(study.seeds)} seeds: {hours} = samples seen x "
        f"{1 + BACKWARD} x forward FLOP of one image with {NUM_MASKS} masks / {teraflops:g} TFLOP/s, sustained and "
        "assumed (--teraflops); without data loading, losses and evaluation",
        *meanings,
    ]
    return "\n".join(lines)


def print_plan(studies: Sequence[Study], store: Store, *, teraflops: float, fresh: bool, workers: int = 1) -> None:
    """Print what the studies cost, then their trials; if the data is there, also which of these would run.

    What takes seconds to find out is remembered in the current folder, in `PLAN`.
    """
    remembered = Remembered(PLAN)
    made_from, data = provenance(), KnownData(remembered)
    costs = ArmCosts(data, remembered, made_from.code, workers)
    for study in studies:
        print(describe_study(study, costs, teraflops), end="\n\n")
    try:
        jobs = [job for study in studies for job in list_jobs(study, made_from, workers, data)]
    except ValueError as error:
        print(f"cannot determine which trials are finished: {error}")
        return
    finally:
        remembered.save()
    to_run = {job.key for job in (jobs if fresh else waiting(jobs, store))}
    store.remember_whole()
    for job in jobs:
        varied = ", ".join(f"{field}={value}" for field, value in job.trial.varied.items())
        state = "to run  " if job.key in to_run else "finished"
        print(f"{state}  {job.key}  {job.trial.study}/{job.trial.name}  {varied}")
    for trial, reason in (trial_and_reason for study in studies for trial_and_reason in study.left_out):
        print(f"{trial.study}/{trial.name}: {reason}")
