"""The optimizer, and its learning rate as a pure function of the step, without hidden step counters."""

import math

import torch
from torch import nn

from core.config import TrainingConfig

# torch's base class of batch norms: SyncBatchNorm, which replaces them on several GPUs, is not a BatchNorm2d.
NORMALIZATIONS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


def step_rate(step: int, total_steps: int, *, warmup_steps: int, drops: tuple[float, ...]) -> float:
    """Share of the peak learning rate: linear warm-up from 0.001, divided by 10 at each drop (detectron2)."""
    ramp = min(step / warmup_steps, 1.0) if warmup_steps else 1.0
    passed = sum(step >= round(drop * total_steps) for drop in drops)
    return (0.001 * (1 - ramp) + ramp) * 0.1**passed


def one_cycle_rate(step: int, total_steps: int, *, warmup_share: float) -> float:
    """Share of the peak learning rate: cosine warm-up from 1/25, then cosine decay to 1e-4 / 25.

    Smith and Topin (arXiv:1708.07120); the end points are those of torch's OneCycleLR.
    """
    start, end = 1 / 25, 1e-4 / 25
    peak = warmup_share * total_steps
    low, progress = (start, step / peak) if step < peak else (end, 1 - (step - peak) / max(total_steps - 1 - peak, 1))
    return low + (1 - low) * (1 - math.cos(math.pi * progress)) / 2


def learning_rate(step: int, total_steps: int, training: TrainingConfig) -> float:
    """Learning rate of `step` (from 0) out of `total_steps`."""
    if training.schedule == "one_cycle":
        share = one_cycle_rate(step, total_steps, warmup_share=training.warmup_share)
    else:
        share = step_rate(step, total_steps, warmup_steps=training.warmup_steps, drops=training.drops)
    return training.learning_rate * share


def build_optimizer(model: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    """SGD or AdamW over the trainable parameters, without weight decay on normalization layers (detectron2)."""
    norm_parameters = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, NORMALIZATIONS)
        for parameter in module.parameters(recurse=False)
    }
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if id(p) not in norm_parameters], "weight_decay": training.weight_decay},
        {"params": [p for p in trainable if id(p) in norm_parameters], "weight_decay": 0.0},
    ]
    if training.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)
    return torch.optim.SGD(groups, lr=training.learning_rate, momentum=training.momentum)
