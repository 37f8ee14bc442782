"""Precision of the network: bfloat16 only where the device has instructions for it."""

import pytest
import torch

from core.compute.precision import autocast, network_precision


@pytest.fixture
def cpu_with(monkeypatch):
    """Let torch find a CPU with these instructions only."""

    def pretend(*instructions: str, onednn: bool = True) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(instructions, True))
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)

    return pretend


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bfloat16_where_the_cpu_has_instructions_for_it(cpu_with, instruction: str) -> None:
    cpu_with("avx2", instruction)
    assert network_precision("bfloat16", "cpu") == "bfloat16"
    assert network_precision("float32", "cpu") == "float32"
    with autocast("bfloat16", "cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("instructions", "onednn"),
    [(("avx2",), True), (("avx2", "avx512_f", "avx512_vnni"), True), (("neon", "bf16"), False)],
    ids=["a CPU with AVX2", "the first CPUs with AVX-512", "torch without oneDNN"],
)
def test_float32_elsewhere(cpu_with, instructions: tuple[str, ...], onednn: bool) -> None:
    cpu_with(*instructions, onednn=onednn)
    assert network_precision("bfloat16", "cpu") == "float32"
    with autocast("bfloat16", "cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.gpu
def test_a_gpu_of_today_computes_in_bfloat16() -> None:
    assert network_precision("bfloat16", "cuda") == "bfloat16"
