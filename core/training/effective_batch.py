"""One rule for another batch size: learning rate, number of steps and warm-ups follow the effective batch together.

The linear scaling rule of SGD (Goyal et al., arXiv:1706.02677): with 1/k of the images a step, 1/k of the learning
rate and k times as many steps, so that as many images are seen. The pairwise warm-up is a share of the schedule and
follows.
"""

from core.config import TrainingConfig


def effective_batch(training: TrainingConfig, num_workers: int) -> int:
    """Images of one optimizer step: images x accumulation x workers."""
    return training.batch_size * training.accumulation * num_workers


def scale_to_batch(training: TrainingConfig, num_workers: int) -> TrainingConfig:
    """The settings for the effective batch that is really used.

    `learning_rate`, `steps` and `warmup_steps` are stated for `schedule_batch_size` images a step; a schedule in
    epochs keeps its epochs. Without `schedule_batch_size` nothing changes.
    """
    stated = training.schedule_batch_size
    used = effective_batch(training, num_workers)
    if stated is None or stated == used:
        return training
    factor = stated / used
    return training.model_copy(
        update={
            "learning_rate": training.learning_rate / factor,
            "steps": None if training.steps is None else max(round(training.steps * factor), 1),
            "warmup_steps": round(training.warmup_steps * factor),
        }
    )


def describe_schedule(scaled: TrainingConfig, num_workers: int, steps: int, pairwise_warmup_steps: int) -> str:
    """One line for the start of a training: the batch, what follows from it, and how many samples are seen."""
    used, stated = effective_batch(scaled, num_workers), scaled.schedule_batch_size
    warmup_steps = scaled.warmup_steps if scaled.schedule == "step" else round(scaled.warmup_share * steps)
    origin = f" (the recipe's schedule is for {stated})" if stated not in (None, used) else ""
    return (
        f"{scaled.batch_size} images x {scaled.accumulation} accumulated x {num_workers} workers = "
        f"{used} images a step{origin}: {steps} steps, learning rate {scaled.learning_rate:g}, "
        f"warm-up {warmup_steps} steps, pairwise warm-up {pairwise_warmup_steps} steps, "
        f"{steps * used} samples seen"
    )
