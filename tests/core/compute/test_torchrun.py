"""What torchrun says of the workers."""

import pytest
import torch

from core.compute.workers import ALONE, torchrun_workers


def test_without_torchrun_there_is_one_worker() -> None:
    with torchrun_workers("cpu") as (workers, device):
        assert (workers, device) == (ALONE, "cpu")
    value = torch.tensor(3.0)
    assert ALONE.mean(value) is value
    assert ALONE.gather("item") == ["item"]


def test_more_workers_on_a_machine_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    for name, value in {"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    message = r"8 workers on this machine, but torch finds 4 GPU\(s\)"
    with pytest.raises(ValueError, match=message), torchrun_workers("cuda"):
        pass
