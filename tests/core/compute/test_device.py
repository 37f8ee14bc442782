"""Devices that are not there are refused by name, whatever torch would make of them later."""

import ctypes
import os
import subprocess
import sys

import pytest
import torch

from core.compute.device import check_device, forget_memory_peak, peak_memory_mb

FAULTS = """
import resource, torch
from core.compute.device import keep_freed_memory
{}
faults = []
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(4_000_000)  # 16 MB, freed at once
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[10:]))
"""


def test_the_cpu_is_always_there() -> None:
    check_device("cpu")


@pytest.mark.parametrize("device", ["quantum", "", "cuda:x", "meta"])
def test_what_is_no_device_of_ours_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match=f"device is '{device}', expected cpu, cuda or cuda:N"):
        check_device(device)


@pytest.mark.parametrize(
    ("device", "count", "found"), [("cuda", 0, "no GPU"), ("cuda:0", 0, "no GPU"), ("cuda:2", 2, r"2 GPU\(s\)")]
)
def test_a_gpu_that_torch_does_not_find_is_refused(
    device: str, count: int, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(ValueError, match=f"device is {device}, but torch finds {found}"):
        check_device(device)


def test_a_gpu_that_torch_finds_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_device("cuda")
    check_device("cuda:1")


def pages_taken(call: str, **environment: str) -> int:
    """Pages that the system gave a new process while it allocated ten times what it had just freed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS.format(call)]
    return int(subprocess.run(command, env=clean | environment, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_freed_memory_is_kept_unless_the_environment_says_otherwise() -> None:
    assert pages_taken("keep_freed_memory()") < 100
    assert pages_taken("keep_freed_memory()", MALLOC_TRIM_THRESHOLD_="0", MALLOC_MMAP_THRESHOLD_="100000") > 1000


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_training_does_not_show_the_peak_of_the_one_before() -> None:
    forget_memory_peak("cpu")
    before = peak_memory_mb("cpu")
    large = bytearray(300 * 2**20)
    assert peak_memory_mb("cpu") > before + 250
    del large
    assert peak_memory_mb("cpu") > before + 250  # a peak
    forget_memory_peak("cpu")
    assert peak_memory_mb("cpu") < before + 50


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_memory_that_was_kept_for_a_training_is_given_back_before_the_next() -> None:
    code = """
import torch
from core.compute.device import forget_memory_peak, keep_freed_memory, peak_memory_mb
keep_freed_memory()
forget_memory_peak("cpu")
before = peak_memory_mb("cpu")
parts = [torch.ones(4_000_000) for _ in range(12)]  # 16 MB each: small enough to be kept
del parts
kept = peak_memory_mb("cpu")
forget_memory_peak("cpu")
print(kept - before, peak_memory_mb("cpu") - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    kept, after = (float(number) for number in done.stdout.split())
    assert kept > 150
    assert after < 50
