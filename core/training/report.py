"""What a training says in the log: what it is going to do, one line for each epoch, and what is left."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.checkpoints.start import Start
from core.config import Config
from core.config.loss import MASK_TERMS
from core.datasets.annotation_file import ImageRecord
from core.datasets.coco import CocoDataset
from core.datasets.masks import has_area
from core.training.effective_batch import describe_schedule
from core.training.pace import EpochTime, Pace, duration
from core.training.schedule import Schedule

# A training on few photos that sees fewer images than these is told so. Measured on sets of 60 photos, with the recipe
# `own`: its 15 epochs are about 100 steps there.
GOOD_STEPS, GOOD_BATCH = 1200, 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a training is going to do, and how much of it was done before it was resumed."""

    schedule: Schedule
    phases: Sequence[CocoDataset]  # the training set; with `boxes_first` that of the boxes, then that of the masks
    validation_set: CocoDataset
    epochs_done: int
    steps_done: int
    start: Start | None  # the network that it starts from
    folder: Path


class Report:
    """Writes to the log how a training goes on; `prefix` says which one, if there are several."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    def of_teacher(self) -> "Report":
        """The report of the training of a teacher, which comes first."""
        return Report("teacher: ")

    def start(self, plan: Plan) -> None:
        """Say what the training is going to do."""
        self.plan = plan
        self.pace = Pace(len(plan.validation_set.records))
        for line in start_lines(plan):
            log.info("%s%s", self.prefix, line)

    def epoch(self, numbers: Mapping[str, float | int], time: EpochTime) -> None:
        """Say what came of an epoch; `numbers` are those of `on_epoch` (`core.training.loop.train`)."""
        schedule = self.plan.schedule
        self.pace.add(time)
        coming = range(int(numbers["epoch"]) + 1, schedule.epochs + 1)
        images = (schedule.steps - numbers["step"]) * schedule.images_per_step
        left = self.pace.seconds_left(images, sum(schedule.evaluates(epoch) for epoch in coming))
        log.info("%s%s", self.prefix, epoch_line(numbers, schedule.steps, time, left))


def start_lines(plan: Plan) -> list[str]:
    """Data, schedule and folder of a training that starts or is resumed, and advice if its steps are few."""
    schedule, training = plan.schedule, plan.schedule.config.training
    lines = [f"training    {_content(plan.phases[0])}"]
    if len(plan.phases) > 1:
        lines[0] += f"; epochs 1 to {schedule.boxes_only_epochs}, without masks"
        lines.append(f"then        {_content(plan.phases[1])}")
    if (origin := _origin_of_masks(schedule.config)) is not None:
        lines[-1] += f" (annotated, or {origin})"
    measured = "" if _num_masks(plan.validation_set.records) else "; box AP is measured, mask AP is not"
    lines.append(f"validation  {_content(plan.validation_set)}{measured}")
    if plan.start is not None:
        lines.append(f"start       {describe_start(plan.start, plan.validation_set.categories)}")
    steps = _count(schedule.steps, "step")
    batch = describe_schedule(training, schedule.num_workers, schedule.steps, schedule.pairwise_warmup_steps)
    lines += [
        f"schedule    {_count(schedule.epochs, 'epoch')}, {steps}, {_when_evaluated(schedule)}",
        f"            {batch}",
        f"folder      {plan.folder}",
    ]
    if plan.steps_done:
        done = f"{plan.epochs_done} of {_count(schedule.epochs, 'epoch')}, {plan.steps_done} of {steps}"
        lines.append(f"resumed     after {done}")
    elif plan.start is None and (advice := advice_on_steps(schedule)) is not None:
        lines.append(advice)
    return lines


def advice_on_steps(schedule: Schedule) -> str | None:
    """How to train longer, if the training sees fewer images than GOOD_STEPS x GOOD_BATCH."""
    good = math.ceil(GOOD_STEPS * GOOD_BATCH / schedule.images_per_step)
    if schedule.steps >= good:
        return None
    few = "1 step is" if schedule.steps == 1 else f"{schedule.steps:,} steps are"
    epochs = math.ceil(good / schedule.steps_per_epoch)
    return f"{few} few: about {good:,} are a good start for few photos: --epochs {epochs}"


def describe_start(start: Start, categories: Sequence[str]) -> str:
    """The file that a training starts from, and which of its classes."""
    common = start.common_classes(categories)
    if start.classes is None:
        found = f"the {start.num_classes} classes of AdelaiDet's file have no names: "
        return f"{start.path}; {found}" + ("assumed to be those of the data" if common else "all classes are new")
    if [start.classes[theirs] for _, theirs in common] == list(categories) and len(common) == start.num_classes:
        return f"{start.path}, with its {_count(start.num_classes, 'class', 'classes')}"
    kept = {ours for ours, _ in common}
    kinds = {
        "kept": [categories[label] for label in sorted(kept)],
        "new": [name for label, name in enumerate(categories) if label not in kept],
        "dropped": [name for name in start.classes if name not in categories],
    }
    listed = "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names)
    return f"{start.path}; classes: {listed}"


def epoch_line(numbers: Mapping[str, float | int], steps: int, time: EpochTime, left: float | None) -> str:
    """The line of an epoch: its place, mean losses (weighted), what it measured, its speed, and the time left.

    A term of the mask loss that is exactly 0 is left out: there is no instance that it learns from. `numbers` are those
    of `on_epoch`; `left` are seconds, None: unknown.
    """
    epoch, epochs, step = (int(numbers[name]) for name in ("epoch", "epochs", "step"))
    losses = {name.removeprefix("loss/"): value for name, value in numbers.items() if name.startswith("loss/")}
    terms = {
        name: value
        for name, value in losses.items()
        if name != "total" and not name.endswith("_unweighted") and (value or name not in MASK_TERMS)
    }
    shown = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in terms.items())
    parts = [f"epoch {epoch}/{epochs}, step {step}/{steps}: loss {numbers['loss/total']:.3f} ({shown})"]
    warmed_up = any(MASK_TERMS[name].warmed_up for name in terms if name in MASK_TERMS)
    if warmed_up and numbers["pairwise_warmup"] < 1:
        parts.append(f"pairwise warm-up {numbers['pairwise_warmup']:.2f}")
    if "box_AP" in numbers:
        parts.append(f"box AP {_percent(numbers['box_AP'])}")
        if not math.isnan(numbers["mask_AP"]):
            parts.append(f"mask AP {_percent(numbers['mask_AP'])}")
    if time.images:
        parts.append(f"{time.images / time.training:.1f} images/s")
    if epoch < epochs and left is not None:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def _content(dataset: CocoDataset) -> str:
    instances, with_mask = sum(len(record.labels) for record in dataset.records), _num_masks(dataset.records)
    found = f"{_count(len(dataset.records), 'image')}, {_count(instances, 'instance')}"
    return f"{dataset.annotation_path}: {found}, {with_mask} with a mask, {instances - with_mask} box only"


def _origin_of_masks(config: Config) -> str | None:
    """Where the masks of instances without one come from; None if they have none."""
    if (file := config.supervision.mask_file) is not None:
        return f"from {Path(config.data.root, file)}"
    return {"grabcut": "made by GrabCut", "teacher": "made by the teacher", None: None}[config.supervision.pseudo_masks]


def _num_masks(records: Sequence[ImageRecord]) -> int:
    return sum(has_area(segmentation) for record in records for segmentation in record.segmentations)


def _when_evaluated(schedule: Schedule) -> str:
    every = schedule.config.training.evaluate_every
    if every is None or every >= schedule.epochs:
        return "evaluated at the end"
    return "evaluated after each epoch" if every == 1 else f"evaluated every {every} epochs and at the end"


def _count(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"
