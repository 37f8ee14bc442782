"""The network that a training begins with."""

from collections.abc import Sequence

import torch
from torch import nn

from core.checkpoints.network import without_weights
from core.checkpoints.start import Start, load_start
from core.compute.compute import Compute
from core.config import Config
from core.model.build import build_model
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn


def initial_model(
    config: Config, categories: Sequence[str], seed: int, compute: Compute, start: Start | None = None
) -> CondInst | MaskRcnn:
    """The network for these classes, initialized from `seed`, on its device; the same on every worker.

    With `start`, its weights take the place of the backbone's, and of all others but those of classes that it does not
    know.

    Raises:
        ValueError: if the network of `start` is another one (`load_start`).
    """
    device = compute.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config.model if start is None else without_weights(config.model), len(categories))
    if start is not None:
        load_start(model, start, config.model, categories)
    if compute.workers.count > 1 and torch.device(device).type == "cuda" and config.model.pyramid == "bifpn":
        model.pyramid = nn.SyncBatchNorm.convert_sync_batchnorm(model.pyramid)  # as AdelaiDet; not available on the CPU
    return model.to(device, memory_format=torch.channels_last)
