"""Whether a training of another length begins with the same steps, so that it can go on from a checkpoint."""

from typing import Any

from core.config import Config, TrainingConfig
from core.losses.criterion import pairwise_warmup
from core.training.optimizer import learning_rate
from core.training.saved_state import checked_curves, checked_progress
from core.training.schedule import Schedule


def continues(
    config: Config, written: TrainingConfig, state: dict[str, Any], *, num_images: int, num_workers: int
) -> bool:
    """Whether the steps of a checkpoint's `state` are, equal to the bit, the first ones of the training of `config`.

    `written` are the settings of the training that wrote it, which differ in nothing but steps or epochs. The length
    enters a training through the learning rate, the pairwise warm-up, `boxes_first` and the start of an `ema_teacher`
    alone, so that the steps are equal if these are equal at each of them. They are if the learning rate never falls
    (schedule `step` without drops), no pairwise term is warmed up and no teacher has begun; else only until the length
    first counts, which is mostly at once.

    Raises:
        ValueError: if the state does not have the finished epochs and steps as a checkpoint has them.
    """
    of_data = {"num_images": num_images, "num_workers": num_workers}
    old = Schedule.of(config.model_copy(update={"training": written}), **of_data)
    new = Schedule.of(config, **of_data)
    curves, progress = checked_curves(state.get("curves")), checked_progress(state.get("progress"))
    done = len(curves) * new.steps_per_epoch + progress.steps
    if done > min(old.steps, new.steps) or not state.get("optimizer"):  # a finished training may have removed it
        return False
    begun = len(curves) + bool(progress.steps)
    return min(old.boxes_only_epochs, begun) == min(new.boxes_only_epochs, begun) and all(
        _of_length(old, step) == _of_length(new, step) for step in range(done)
    )


def _of_length(schedule: Schedule, step: int) -> tuple[float, float, bool]:
    """The learning rate of a step, the factor of the terms that are warmed up (1 if none is in use), and whether a
    moving average labels boxes.
    """
    config, teacher = schedule.config, schedule.config.supervision.ema_teacher
    warmed_up = any(term.warmed_up for term in config.loss.used_terms.values())
    weight = pairwise_warmup(step, schedule.pairwise_warmup_steps) if warmed_up else 1.0
    labels = teacher is not None and step >= teacher.first_step(schedule.steps)
    return learning_rate(step, schedule.steps, config.training), weight, labels
