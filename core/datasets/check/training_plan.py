"""The training that a data set asks for: its settings with their reasons, its cost, and its command."""

import json
import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import Config, DataConfig
from core.config.plain_yaml import parse_yaml
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.class_notes import class_line
from core.datasets.check.expected_cost import ExpectedCost, available_memory_mb, in_words
from core.datasets.check.recommendations import (
    ViewSize,
    epochs_for,
    evaluate_every,
    resized,
    settings_for,
    size_line,
    view_candidates,
)
from core.datasets.layout import Layout
from core.datasets.view_sizes import MOSTLY_MISSED, WHY_MISSED, share_under, view_sides

MOST_MINUTES = 45.0  # of a training for whose sake larger views are advised: with all around it, an hour
MEMORY_SHARE = 0.8  # of what is available, that such a training may take

Measure = Callable[[list[str]], ExpectedCost | None]  # of options of core.train; None: too much memory


@dataclass(frozen=True)
class TrainingPlan:
    lines: list[str]  # what is advised, and why
    options: list[str]  # of core.train
    data: DataConfig  # with the sizes advised

    @property
    def command(self) -> str:
        """The command, to be pasted into a shell."""
        return f"python -m core.train {shlex.join(self.options)}"


def plan_training(
    file: AnnotationFile,
    config: Config,
    root: Path,
    layout: Layout,
    *,
    recipe: str,
    measure: Measure | None = None,
    threads: int | None = None,
) -> TrainingPlan:
    """Plan the training on a file without problems; `measure` says what a training would cost, None: nobody does.

    Of the sizes of views at which few boxes are small, a smaller one is taken if it would take longer than
    MOST_MINUTES, or more memory than there is.
    """
    settings = layout.settings(config.data)
    used = [record for record in file.images if len(record.labels) or not config.data.drop_images_without_boxes]
    epochs = epochs_for(config, len(used))
    if epochs is not None and (every := evaluate_every(config, epochs)) is not None:
        settings["training.evaluate_every"] = every

    def options_for(size: ViewSize, *output: str) -> list[str]:
        return ["--recipe", recipe, "--data-root", str(root), *output] + setting_options(
            settings_for(config, size) | settings
        )

    candidates = view_candidates(file.images, config.data)
    length = ["--set", f"training.epochs={epochs}"] if epochs not in (None, config.training.epochs) else []
    try:
        chosen, cost, refused = affordable(candidates, measure and (lambda size: measure(options_for(size) + length)))
        cost_line = cost or "does not fit into the memory that is free on this machine"
    except ValueError as error:
        chosen, refused, cost_line = candidates[-1], "", f"not measured: {error}"
    lines = [f"views       {size_line(config.data, candidates, chosen, refused)}"]
    sides = view_sides(file.images, resized(config.data, chosen.side))
    if missed := share_under(sides, MOSTLY_MISSED):
        lines.append(f"            {missed:.0%} stay under {MOSTLY_MISSED:g} px; {WHY_MISSED}")
    if epochs is not None:
        batch = config.training.batch_size * config.training.accumulation
        steps = epochs * max(len(used) // batch, 1)
        lines.append(f"epochs      {epochs}: {len(used)} photos with boxes, {batch} a step, make {steps:,} steps")
    lines.append(f"classes     {class_line(file)}")
    if measure is not None:
        lines.append(f"cost        {cost_line}")
    output = ["--folder", f"runs/{root.resolve().name}"]
    if length:
        output += ["--epochs", str(epochs)]
    if threads is not None:
        output += ["--threads", str(threads)]
    return TrainingPlan(lines, options_for(chosen, *output), resized(config.data, chosen.side))


def affordable(
    candidates: Sequence[ViewSize], measure: Callable[[ViewSize], ExpectedCost | None] | None
) -> tuple[ViewSize, ExpectedCost | None, str]:
    """The largest size that is worth its cost, its cost, and why none of the larger ones; the first is always.

    After a size that costs too much, the next to be measured is the one whose pixels promise to fit.
    """
    index, refused = len(candidates) - 1, ""
    if measure is None:
        return candidates[index], None, refused
    while True:
        cost = measure(candidates[index])
        excess = _excess(cost)
        if excess <= 1 or index == 0:
            return candidates[index], cost, refused
        taken = "more memory than is free"
        if cost is not None:
            taken = f"{in_words(cost.minutes)}, {cost.memory_mb / 1024:.1f} GB"
        refused = f"{candidates[index].side} px would take {taken}"
        promising = candidates[index].side / math.sqrt(excess)
        index = max((i for i in range(index) if candidates[i].side <= promising), default=0)


def _excess(cost: ExpectedCost | None) -> float:
    """How many times more than wanted a training costs, in time or in memory."""
    if cost is None:
        return 4.0  # unknown: half the side
    memory = cost.memory_mb / (MEMORY_SHARE * available_memory_mb()) if cost.device == "cpu" else 0.0
    return max(cost.minutes / MOST_MINUTES, memory)


def setting_options(settings: dict[str, Any]) -> list[str]:
    """The options `--set NAME=VALUE` for settings by dotted name."""
    return [part for name, value in settings.items() for part in ("--set", f"{name}={as_yaml(value)}")]


def as_yaml(value: Any) -> str:
    """A value as `--set` reads it: text as it is, unless it would be read as something else."""
    if isinstance(value, str):
        try:
            if parse_yaml(value) == value:
                return value
        except ValueError:
            pass
    return json.dumps(value, separators=(",", ":"))
