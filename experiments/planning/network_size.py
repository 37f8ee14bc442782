"""How large the network of an arm is: parameters, and operations for one image. Runs nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from core.checkpoints.network import without_weights
from core.config import DataConfig, ModelConfig
from core.model.build import build_model
from core.model.mask_rcnn import MaskRcnn
from core.structures import MASK_FEATURE_STRIDE, padded_side
from experiments.planning.known_sizes import NUM_MASKS


@dataclass(frozen=True)
class NetworkSize:
    """`forward_flops` counts a multiply-add as two. None for Mask R-CNN, where it depends on the detections."""

    parameters: int
    forward_flops: int | None


def padded_size(data: DataConfig) -> tuple[int, int]:
    """Height and width (px) of a 3:2 landscape photo at validation size, padded as in a batch: 800x1216 on COCO."""
    sides = data.val_short_side, min(1.5 * data.val_short_side, data.long_side_max)
    return tuple(padded_side(side) for side in sides)


def network_size(model: ModelConfig, num_classes: int, height: int, width: int) -> NetworkSize:
    """Parameters, and floating-point operations for one image with `NUM_MASKS` masks, without the losses.

    Runs on fake tensors, which take no memory.
    """
    deformable = {torch.ops.torchvision.deform_conv2d: _deformable_flops}  # torch only counts its own operators
    counter = FlopCounterMode(display=False, custom_mapping=deformable)
    with FakeTensorMode(), torch.no_grad():
        network = build_model(without_weights(model), num_classes).eval()
        parameters = _num_parameters(network)
        if isinstance(network, MaskRcnn):
            return NetworkSize(parameters, None)
        with counter:
            network(torch.zeros(1, 3, height, width, dtype=torch.uint8), [(height, width)])
        # Counted by hand, since the number of masks depends on the data: per mask, each parameter of the controller
        # acts once, and each dynamic parameter once per cell.
        cells = (height // MASK_FEATURE_STRIDE) * (width // MASK_FEATURE_STRIDE)
        of_a_mask = _num_parameters(network.controller) + cells * network.mask_head.num_dynamic_params
    return NetworkSize(parameters, counter.get_total_flops() + 2 * NUM_MASKS * of_a_mask)


def _num_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _deformable_flops(
    inputs: Sequence[int], weight: Sequence[int], *others: object, out_shape: Sequence[int], **named: object
) -> int:
    """Those of a plain convolution of this size; interpolation between pixels is not counted."""
    return 2 * math.prod(out_shape) * math.prod(weight[1:])
