"""Networks, batches and loss terms of a tiny data set, as one of several workers has them."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.compute.workers import Workers
from core.config import Config
from core.datasets.coco import CocoDataset
from core.datasets.loader import BatchLoader
from core.model.build import build_model
from core.model.condinst import CondInst
from core.structures import Batch
from core.training.epoch import epoch_batches
from core.training.step import compute_losses
from tests.core.training.tiny_training import tiny

RELATIVE = 1e-5  # float32 sums of the same numbers in another order, over a few steps


def build(config: Config, num_classes: int) -> CondInst:
    torch.manual_seed(0)
    model = build_model(config.model, num_classes).train()
    for module in model.modules():  # each worker's batch norm sees its own images: statistics of the batch would differ
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def loaded(dataset: CocoDataset, config: Config, workers: Workers, epoch: int = 0) -> list[Batch]:
    """The batches of a worker in an epoch."""
    indices = epoch_batches(len(dataset), config.training, workers, seed=0, epoch=epoch)
    return list(BatchLoader(dataset, 0).load(indices, epoch))


def each_worker(root: Path, **training: Any) -> Config:
    """As all recipes on COCO: half of the images with masks, mask terms by each worker's own counts."""
    return tiny(root, supervision={"mask_ratio": 0.5}, loss={"mask_normalizer": "each_worker"}, training=training)


def terms(model: CondInst, batch: Batch, config: Config, workers: Workers) -> dict[str, float]:
    losses = compute_losses(model, batch, config, step=0, steps=10, batch_seed=0, workers=workers)
    return {name: value.item() for name, value in losses.unweighted.items()}
