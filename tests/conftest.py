"""Fixtures shared by all tests: golden values, one thread; `gpu`, `full_size`, `slow` tests run where asked for."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

GOLDEN_DIR = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Equal results to the bit need one fixed number of threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def heard_control_c() -> None:
    """A background job of a shell ignores Ctrl-C, and so would the commands that tests start in it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Reads the arrays of one component: `golden("a_projection")["logits"]`."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN_DIR / f"{name}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    return read


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests out whose marker asks for what is not there, and count them as deselected."""
    is_there = {
        "gpu": torch.cuda.is_available(),
        "full_size": "COCO_DIR" in os.environ,
        "slow": "RUN_SLOW" in os.environ,
    }
    lacking = [marker for marker, there in is_there.items() if not there]
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in lacking)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
