"""The dynamic mask head against grouped convolutions on maps of relative coordinates, one CPU thread.

`python -m tests.benchmarks mask_head`. Both sides in turn, the shortest of several runs. The other side computes what
CondInst's paper describes, in the form its authors released: each instance has its own maps of relative coordinates
beside a copy of the features, and all instances are one convolution with as many groups.
"""

import time

import torch
from torch import Tensor
from torch.nn import functional

from core.geometry import pyramid_locations
from core.model.mask_head import MaskHead
from core.structures import MASK_FEATURE_STRIDE
from tests.benchmarks.form import Line, tell

PROBLEMS = [(128, 2, 100, 152), (64, 8, 20, 20)]  # masks, images, height and width of the features
REPEATS = 5


def grouped_mask_head(
    head: MaskHead, features: Tensor, params: Tensor, image_index: Tensor, locations: Tensor, scale: Tensor
) -> Tensor:
    num, (height, width) = len(params), features.shape[2:]
    cells, _, _ = pyramid_locations([(height, width)], [MASK_FEATURE_STRIDE])
    relative = (locations[:, :, None] - cells.T[None]) / scale[:, None, None]
    x = torch.cat([relative, features[image_index].flatten(2)], dim=1).reshape(1, -1, height, width)
    weights, biases = head.split(params)
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), 1):
        x = functional.conv2d(x, weight.reshape(-1, weight.shape[2], 1, 1), bias.reshape(-1), groups=num)
        if number < len(weights):
            x = functional.relu(x)
    x = functional.pad(x.reshape(num, 1, height, width), (0, 1, 0, 1), mode="replicate")
    x = functional.interpolate(x, size=(2 * height + 1, 2 * width + 1), mode="bilinear", align_corners=True)
    return functional.pad(x, (1, 0, 1, 0), mode="replicate")[:, 0, : 2 * height, : 2 * width]


def of_problem(num: int, num_images: int, height: int, width: int) -> list[Line]:
    generator = torch.Generator().manual_seed(0)
    head = MaskHead(feature_channels=16, channels=8, num_layers=3)
    features = torch.randn(num_images, 16, height, width, generator=generator).requires_grad_()
    params = torch.randn(num, head.num_dynamic_params, generator=generator).mul_(0.3).requires_grad_()
    locations = torch.rand(num, 2, generator=generator) * MASK_FEATURE_STRIDE * width
    inputs = (features, params, torch.arange(num) % num_images, locations, torch.full((num,), 128.0))
    weights = torch.randn(num, 2 * height, 2 * width, generator=generator)
    forward, whole, gradients = ([], []), ([], []), [(), ()]
    for _ in range(REPEATS):
        for side in (0, 1):
            start = time.perf_counter()
            logits = grouped_mask_head(head, *inputs) if side else head(*inputs)
            forward[side].append(time.perf_counter() - start)
            gradients[side] = torch.autograd.grad(logits, (features, params), weights)
            whole[side].append(time.perf_counter() - start)
    difference = max(float((a - b).norm() / b.norm()) for a, b in zip(*gradients, strict=True))
    name = f"mask head, {num} masks of {num_images} images, {height}x{width} features"
    return [
        *(
            Line(f"{name}: {what}", min(times[0]) * 1e3, "ms", min(times[1]) * 1e3, "grouped convolutions")
            for what, times in (("forward", forward), ("forward and backward", whole))
        ),
        Line(f"{name}: relative difference of the gradients", difference, ""),
    ]


def measure(*, quick: bool) -> list[Line]:
    torch.set_num_threads(1)
    return [line for problem in ([(4, 2, 6, 5)] if quick else PROBLEMS) for line in of_problem(*problem)]


if __name__ == "__main__":
    tell(measure(quick=False))
