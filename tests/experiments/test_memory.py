"""A trial that needs more than its memory raises and is a hole that says so; what runs beside it goes on."""

import resource
from pathlib import Path

import psutil
import pytest
import torch

from core.compute.failure import is_out_of_memory
from experiments import trial as trial_module
from experiments.memory import count_kernel_kills, memory_limit, out_of_memory
from experiments.params import GIGABYTE
from experiments.provenance import Provenance
from experiments.study import Study
from experiments.trial import run_trial


def half_a_gigabyte_more() -> float:
    return psutil.Process().memory_info().rss / GIGABYTE + 0.5


def allocate(gigabytes: float) -> torch.Tensor:
    return torch.empty(int(gigabytes * GIGABYTE), dtype=torch.uint8)


def test_an_allocation_beyond_the_limit_raises_and_the_limit_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_limit(half_a_gigabyte_more()):
        allocate(0.25)
        with pytest.raises(RuntimeError, match="can't allocate memory") as caught:
            allocate(1)
        allocate(0.25)
        with pytest.raises(MemoryError):
            bytearray(GIGABYTE)
    assert is_out_of_memory(caught.value)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    allocate(1)


def test_without_a_limit_nothing_is_limited() -> None:
    with memory_limit(None):
        allocate(1)


def test_the_limit_ends_when_what_it_is_for_raises() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(KeyError), memory_limit(half_a_gigabyte_more()):
        raise KeyError
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_trial_that_needs_too_much_is_a_hole_that_names_memory_and_what_helps(
    study: Study, tmp_path: Path, made_from: Provenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_module, "train", lambda *arguments, **named: allocate(2))
    record = run_trial(
        study.trials[0], tmp_path, key="k", data_digest="d", provenance=made_from, device="cpu", threads=1,
        memory_gb=half_a_gigabyte_more(),
    )  # fmt: skip
    assert record.status == "failed"
    assert record.reason.startswith("out of memory at the limit of ")
    assert (
        "GB (resources.memory_per_trial_gb), asking for 2147483648 bytes; lower training.batch_size (4)"
        in record.reason
    )
    assert "can't allocate memory" in record.traceback


def test_reasons_are_one_line_and_name_the_device() -> None:
    cuda = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity ...\n")
    assert is_out_of_memory(cuda)
    assert out_of_memory(cuda, device="cuda", batch_size=16, limit_gb=4) == (
        "out of memory on the GPU, asking for 2.50 GiB; lower training.batch_size (16) or the image size, or set "
        "resources.gpus_per_trial to 1 if trials share a GPU"
    )
    assert out_of_memory(MemoryError(), device="cpu", batch_size=8, limit_gb=None) == (
        "out of memory; lower training.batch_size (8) or the image size, or reduce resources.parallel_trials"
    )
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


def test_the_kernels_kills_are_counted() -> None:
    assert count_kernel_kills() >= 0
