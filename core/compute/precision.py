"""The precision of the network: bfloat16 only on devices that have instructions for it."""

from contextlib import AbstractContextManager, nullcontext

import torch

from core.config.values import Precision

BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # as torch names them; the last is ARM's


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether the device has bfloat16 instructions: GPUs since Ampere, some CPUs since 2020 (through oneDNN)."""
    device = torch.device(device)
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return torch.backends.mkldnn.is_available() and any(found.get(name, False) for name in BFLOAT16_INSTRUCTIONS)


def network_precision(wanted: Precision, device: torch.device | str) -> Precision:
    """`wanted`, but float32 if the device has no bfloat16 instructions.

    torch would emulate bfloat16 there and take 8 times as long as in float32 (430 ms instead of 53 ms per training
    image, 160x160, for a small network on one core of an AMD EPYC with AVX2).
    """
    return wanted if wanted == "float32" or has_bfloat16(device) else "float32"


def autocast(wanted: Precision, device: torch.device | str) -> AbstractContextManager:
    """Context manager in which the network runs in its `network_precision`."""
    if network_precision(wanted, device) == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
