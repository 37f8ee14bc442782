"""Devices that are not there are refused by name, whatever torch would make of them later."""

import pytest
import torch

from core.device import check_device


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
