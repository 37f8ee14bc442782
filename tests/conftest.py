"""Fixtures shared by all tests: golden values, one thread; tests marked `gpu` where there is one."""

import os
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


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Reads the arrays of one component: `golden("a_projection")["logits"]`."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN_DIR / f"{name}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    return read


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `gpu` out where there is no CUDA device, and count them as deselected."""
    if torch.cuda.is_available():
        return
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    config.hook.pytest_deselected(items=gpu)
    items[:] = [item for item in items if item not in gpu]
