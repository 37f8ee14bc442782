"""Settings of training and inference, except the loss: assignment, schedule, detection thresholds."""

from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from core.config.values import Count, Fraction, Frozen, NonNegative, Positive, Precision, Whole, increasing


class AssignmentConfig(Frozen):
    # px; level i is assigned objects with max(ltrb) between boundaries i-1 and i
    size_boundaries: Annotated[tuple[Positive, ...], AfterValidator(increasing)] = (64, 128, 256, 512)
    center_radius: NonNegative = 1.5  # in strides around the center; 0: the whole box
    center: Literal["box", "rasterized_box", "mask"] = "box"  # AdelaiDet: rasterized_box for BoxInst, mask for CondInst
    selection: Literal["best_per_instance", "random"] = "best_per_instance"  # CondInst: random
    max_masks: Count = 64  # per image for best_per_instance, per batch for random (CondInst: 500)


class TrainingConfig(Frozen):
    steps: Count | None = 90_000  # optimizer steps; None: from epochs
    epochs: Count | None = None
    batch_size: Count = 16  # images per worker and forward pass
    accumulation: Count = 1  # batches whose gradients are averaged in one step; each normalizes its own losses
    # images per step for which learning_rate, steps and warmup_steps are given; they are scaled to the effective batch,
    # batch_size x accumulation x workers. None: no scaling. sgd only
    schedule_batch_size: Count | None = None
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.01
    momentum: Fraction = 0.9  # sgd only
    weight_decay: NonNegative = 1e-4  # not on normalization layers
    schedule: Literal["step", "one_cycle"] = "step"
    warmup_steps: Whole = 1000  # linear from learning_rate * 0.001
    # step: shares of the schedule at which the learning rate drops by a factor of 10
    drops: Annotated[tuple[Fraction, ...], AfterValidator(increasing)] = (60 / 90, 80 / 90)
    warmup_share: Fraction = 0.15  # ours, one_cycle: share of the schedule over which the learning rate rises
    clip_gradient_norm: Positive | None = None  # AdelaiDet does not clip
    # bfloat16: autocast of the network, losses in float32; float32 on a device without instructions for bfloat16
    precision: Precision = "float32"
    evaluate_every: Count | None = None  # epochs; None: only at the end

    @model_validator(mode="after")
    def _one_length(self) -> "TrainingConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"steps is {self.steps} and epochs is {self.epochs}, expected exactly one of them")
        return self

    @model_validator(mode="after")
    def _linear_rule_is_for_sgd(self) -> "TrainingConfig":
        if self.schedule_batch_size is not None and self.optimizer != "sgd":
            raise ValueError(
                f"schedule_batch_size is {self.schedule_batch_size}, but optimizer is {self.optimizer}: scaling the "
                "learning rate in proportion to the batch is a rule for sgd; expected null"
            )
        return self


class InferenceConfig(Frozen):
    score_threshold: Fraction = 0.05  # on class probability * centerness
    max_candidates: Count = 1000  # (location, class) pairs per level before NMS
    nms_threshold: Fraction = 0.6
    max_detections: Count = 100
    batch_size: Count = 1
