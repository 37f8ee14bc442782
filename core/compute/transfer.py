"""Tensors from the host to a device, without waiting for the work that the device has still to do."""

from collections.abc import Sequence

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on the device, itself if it is there already.

    A GPU reads from pinned memory by itself: the copy is queued like any other work. From ordinary memory the host
    would wait for it.
    """
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def to_device_together(tensors: Sequence[Tensor], device: torch.device | str) -> list[Tensor]:
    """Tensors of one dtype on the device, by one copy: many small ones would cost a copy each."""
    joined = to_device(torch.cat([tensor.flatten() for tensor in tensors]), device)
    parts = joined.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
