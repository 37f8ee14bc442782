"""Scale learning rate, number of steps and warm-ups to the effective batch size.

The linear scaling rule of SGD (Goyal et al., arXiv:1706.02677): with 1/k of the images per step, use 1/k of the
learning rate and k times as many steps, so that the number of images seen stays the same. The pairwise warm-up is a
share of the schedule and scales with it. Does not import torch.
"""

from core.config import TrainingConfig


def effective_batch(training: TrainingConfig, num_workers: int) -> int:
    """Images per optimizer step: batch size x accumulation x workers."""
    return training.batch_size * training.accumulation * num_workers


def scale_to_batch(training: TrainingConfig, num_workers: int) -> TrainingConfig:
    """The settings scaled to the effective batch.

    `learning_rate`, `steps` and `warmup_steps` are given for `schedule_batch_size` images per step; a schedule in
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
    """One log line for the start of a training: the batch, the scaled schedule, and the number of samples seen."""
    used, stated = effective_batch(scaled, num_workers), scaled.schedule_batch_size
    warmup_steps = scaled.warmup_steps if scaled.schedule == "step" else round(scaled.warmup_share * steps)
    origin = f" (the recipe's schedule is for {stated})" if stated not in (None, used) else ""
    return (
        f"{scaled.batch_size} images x {scaled.accumulation} accumulated x {num_workers} workers = "
        f"{used} images per step{origin}: {steps} steps, learning rate {scaled.learning_rate:g}, "
        f"warm-up {warmup_steps} steps, pairwise warm-up {pairwise_warmup_steps} steps, "
        f"{steps * used} samples seen"
    )


def steps_per_epoch(num_images: int, images_per_step: int) -> int:
    """Number of full steps in an epoch; at least one, in which images repeat if the data set is smaller."""
    return max(num_images // images_per_step, 1)


def total_steps(training: TrainingConfig, num_images: int, num_workers: int) -> int:
    return training.steps or training.epochs * steps_per_epoch(num_images, effective_batch(training, num_workers))
