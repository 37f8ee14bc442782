"""Device-hours of studies at a stated throughput: `python -m experiments.cost --set coco --images-per-second 60`.

Of each study: its trials, the images that they see, and the device-hours, which are images seen / images per second /
3600. Images per second are those of one device with everything in them: state what a training of the recipe shows
there. A trial on two devices takes half the time and as many device-hours. Trials that the studies share count once in
the sum, as they are trained once; finished trials count too. Needs no data where the schedule is in steps.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.compute.command import run_command
from core.config.identity import training_identity
from core.config.names import checked_name
from experiments.params import load_params
from experiments.planning.arm_cost import ArmCosts
from experiments.planning.data_facts import KnownData
from experiments.planning.plan import PLAN
from experiments.planning.remembered import Remembered
from experiments.provenance import provenance
from experiments.settings import load_studies
from experiments.study import STUDIES, Study

TOTAL = "in all"
FORMULA = "device-hours = images seen / images per second / 3600"


@dataclass(frozen=True)
class StudyCost:
    """`images` and `hours` are None if missing data leaves the length of a training open."""

    study: str
    trials: int
    images: int | None
    hours: float | None


def study_costs(studies: Sequence[Study], costs: ArmCosts, images_per_second: float) -> list[StudyCost]:
    """The cost of each study, and that of all together, in which trials that they share count once.

    Raises:
        ValueError: if `images_per_second` is not above 0.
    """
    if not images_per_second > 0:
        raise ValueError(f"--images-per-second is {images_per_second:g}, expected more than 0")
    rows = []
    together: dict[str, int | None] = {}
    for study in studies:
        seen = {}
        for trial in study.first_trials:
            images = costs.of(trial.config).images_seen
            seen |= {str(training_identity(trial.config, seed, "")): images for seed in study.seeds}
        together |= seen
        rows.append(_cost(study.name, seen, images_per_second))
    return [*rows, _cost(TOTAL, together, images_per_second)]


def _cost(name: str, seen: dict[str, int | None], images_per_second: float) -> StudyCost:
    if None in seen.values():
        return StudyCost(name, len(seen), None, None)
    images = sum(seen.values())
    return StudyCost(name, len(seen), images, images / images_per_second / 3600)


def table(rows: Sequence[StudyCost], images_per_second: float) -> str:
    """Markdown, with the formula below."""
    lines = ["| study | trials | images seen | device-hours |", "|---|---:|---:|---:|"]
    for row in rows:
        images = "unknown" if row.images is None else f"{row.images:,}"
        hours = "unknown" if row.hours is None else f"{row.hours:,.2f}"
        lines.append(f"| {row.study} | {row.trials} | {images} | {hours} |")
    lines += ["", f"{FORMULA}; {images_per_second:g} images per second on one device, as stated."]
    if any(row.images is None for row in rows):
        lines.append("Unknown: the schedule is in epochs, and the data that says how long these are is not there.")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.cost",
        description="Print the device-hours of studies at a stated throughput, with the formula.",
    )
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="default: the studies of the set")
    parser.add_argument(
        "--every-study", action="store_true", help="all of experiments/studies, on the recipe of the set"
    )
    parser.add_argument("--images-per-second", type=float, required=True, help="of one device, all in")
    parser.add_argument("--set", dest="set_name", help="a set in place of that of params.yaml")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: %(default)s")
    arguments = parser.parse_args(words)

    def work() -> None:
        params = load_params(arguments.params, arguments.set_name and checked_name("set", arguments.set_name))
        remembered = Remembered(PLAN)
        costs = ArmCosts(KnownData(remembered), remembered, provenance().code, params.resources.workers)
        every = sorted(path.stem for path in STUDIES.glob("*.yaml")) if arguments.every_study else ()
        studies = load_studies(every or arguments.studies or params.studies, params, str(arguments.params))
        rows = study_costs(studies, costs, arguments.images_per_second)
        remembered.save()
        print(table(rows, arguments.images_per_second))

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
