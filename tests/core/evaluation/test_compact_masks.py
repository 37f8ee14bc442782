"""Masks of which only a part is computed: the encodings equal those of whole masks to the byte."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from core.evaluation import compact_masks as module
from core.evaluation.compact_masks import compact_masks
from core.evaluation.postprocess import PIXEL_BUDGETS, paste_masks, paste_whole_masks

GRID = (24, 40)
SIZES = [  # of the input image and of the file, on this grid
    ((96, 160), (96, 160)),
    ((96, 160), (63, 105)),
    ((96, 160), (250, 417)),
    ((81, 131), (81, 131)),
    ((81, 131), (60, 203)),
    ((70, 129), (11, 7)),
    ((96, 160), (1, 1)),
]


def ellipses(count: int, radius: float, seed: int = 0) -> Float[Tensor, "N h w"]:
    """Logits of ellipses, positive inside, that may extend past the grid; `radius` is the largest, in grids."""
    generator = np.random.default_rng(seed)
    y, x = np.indices(GRID) / np.array(GRID)[:, None, None]
    centers, radii = generator.random((count, 2, 1, 1)), generator.uniform(0.2, 1, (count, 2, 1, 1)) * radius
    distances = ((y - centers[:, 0]) / radii[:, 0]) ** 2 + ((x - centers[:, 1]) / radii[:, 1]) ** 2
    noise = generator.normal(0, 0.3, (count, *GRID))
    return torch.from_numpy(8 * (1 - distances).clip(-2) + noise).float()


def cells(*positions: tuple[int, int], inside: float = 2.5, outside: float = -3.0) -> Float[Tensor, "1 h w"]:
    """Logits of one mask that is `inside` in these cells (row, column; negative: from the end)."""
    logits = torch.full((1, *GRID), outside)
    for row, column in positions:
        logits[0, row, column] = inside
    return logits


def scattered(count: int) -> Float[Tensor, "N h w"]:
    return torch.randn(count, *GRID, generator=torch.Generator().manual_seed(0))


KINDS: dict[str, Callable[[], Float[Tensor, "N h w"]]] = {
    "compact": lambda: ellipses(60, 0.2),
    "large": lambda: ellipses(20, 0.8),
    "scattered": lambda: scattered(10),
    "single cells": lambda: torch.cat([cells((r, c)) for r in (0, 1, 11, 22, 23) for c in (0, 1, 20, 38, 39)]),
    "corners": lambda: cells((0, 0), (-1, -1), (0, -1), (-1, 0)),
    "a whole row": lambda: cells(*((-1, column) for column in range(40))),
    "a whole column": lambda: cells(*((row, -1) for row in range(24))),
    "three whole columns": lambda: cells(*((row, column) for row in range(24) for column in (0, 1, 2))),
    "everything": lambda: torch.full((1, *GRID), 1.0),
    "nothing": lambda: torch.full((2, *GRID), -1.0),
    "weak": lambda: cells((5, 5), inside=1e-3),
    "exactly half": lambda: cells((5, 5), (5, 6), inside=0.0),
    "half everywhere": lambda: torch.zeros(1, *GRID),
    "beside half": lambda: cells((5, 5), outside=0.0),
    "infinite": lambda: cells((5, 5), (6, 5), inside=torch.inf, outside=-torch.inf),
    "not a number": lambda: torch.cat([cells((5, 5), inside=torch.nan), cells((5, 5), outside=torch.nan)]),
    "bfloat16": lambda: ellipses(10, 0.2).bfloat16(),
    "no mask": lambda: torch.zeros(0, *GRID),
}


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_encodings_equal_those_of_whole_masks(kind: str, sizes: tuple) -> None:
    logits = KINDS[kind]()
    expected = paste_whole_masks(logits, *sizes, PIXEL_BUDGETS["cpu"])
    assert paste_masks(logits, *sizes) == expected
    found = compact_masks(logits, *sizes)
    assert len(found) == len(expected)
    assert [mask for mask in found if mask] == [whole for mask, whole in zip(found, expected, strict=True) if mask]


@pytest.mark.parametrize("kind", ["single cells", "nothing", "weak"])
def test_a_small_mask_is_never_enlarged_as_a_whole(kind: str) -> None:
    for sizes in SIZES[1:5]:
        assert None not in compact_masks(KINDS[kind](), *sizes)


def test_of_small_objects_few_are_enlarged_as_a_whole() -> None:
    logits = torch.cat([ellipses(100, 0.15, seed) for seed in range(5)])
    assert compact_masks(logits, (96, 160), (63, 105)).count(None) <= 5


def test_the_share_of_the_image_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    # Cell (5, 5) is seen by pixels 19 to 25 of 96 and of 160, as the middle is pixel 22 and the next ones 18 and 26.
    monkeypatch.setattr(module, "LARGEST_SHARE", 49 / (96 * 160))
    assert None not in compact_masks(cells((5, 5)), *SIZES[0])
    monkeypatch.setattr(module, "LARGEST_SHARE", 48 / (96 * 160))
    assert compact_masks(cells((5, 5)), *SIZES[0]) == [None]


def test_a_pixel_within_the_roundings_of_half_leaves_the_mask_to_the_whole_form() -> None:
    # With 3/4 of its weight in a cell of probability 0.6, and 1/4 in one of 0.2, a pixel has exactly one half.
    logits = cells((5, 5), inside=float(np.log(0.6 / 0.4)), outside=float(np.log(0.2 / 0.8)))
    assert compact_masks(logits, *SIZES[0]) == [None]
    assert None not in compact_masks(logits + 1e-4, *SIZES[0])


def test_autocast_changes_nothing() -> None:
    logits = ellipses(30, 0.2)
    expected = compact_masks(logits, *SIZES[1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert compact_masks(logits, *SIZES[1]) == expected


@pytest.mark.parametrize("seed", range(20))
def test_any_sizes_and_masks(seed: int) -> None:
    generator = np.random.default_rng(seed)
    grid = [8 * int(n) for n in generator.integers(1, 9, 2)]
    resized = tuple(int(generator.integers(max(4 * n - 31, 1), 4 * n + 1)) for n in grid)
    file = tuple(int(n) for n in generator.integers(1, 300, 2))
    logits = torch.full((12, *grid), -2.0) + torch.from_numpy(generator.normal(0, 0.5, (12, *grid)))
    for mask in logits:
        (top, left), (height, width) = generator.integers(0, grid), generator.integers(1, 6, 2)
        mask[top : top + height, left : left + width] += generator.uniform(0, 6)
    logits = logits.float()
    whole = paste_whole_masks(logits, resized, file, PIXEL_BUDGETS["cpu"])
    assert paste_masks(logits, resized, file) == whole
    pairs = zip(compact_masks(logits, resized, file), whole, strict=True)
    assert all(mask is None or mask == expected for mask, expected in pairs)
