"""The k x k dilated neighbors of a pixel without its center: the edges of the pairwise term."""

from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Neighborhood:
    """Neighbors at offsets (dy, dx) in row-major order, dy slowest, as AdelaiDet unfolds its maps.

    BoxInst (arXiv:2012.02310) uses size 3 and dilation 2: eight edges per pixel, two grid cells long.
    """

    size: int = 3  # k, odd
    dilation: int = 2  # grid cells between neighboring taps

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise ValueError(f"neighborhood size is {self.size}, expected an odd number of at least 3")
        if self.dilation < 1:
            raise ValueError(f"neighborhood dilation is {self.dilation}, expected at least 1")

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        reach = self.size // 2
        taps = [self.dilation * i for i in range(-reach, reach + 1)]
        return tuple((dy, dx) for dy in taps for dx in taps if (dy, dx) != (0, 0))

    @property
    def num_edges(self) -> int:
        return self.size * self.size - 1

    @property
    def margin(self) -> int:
        """Distance in grid cells to the farthest neighbor along one axis."""
        return self.dilation * (self.size // 2)

    def neighbors(self, values: Shaped[Tensor, "*maps h w"], outside: float = 0) -> Shaped[Tensor, "*maps E h w"]:
        """Values of the neighbors of each pixel; `outside` where the neighbor is outside the grid."""
        h, w = values.shape[-2:]
        m = self.margin
        padded = functional.pad(values, (m, m, m, m), value=outside)
        return torch.stack([padded[..., m + dy : m + dy + h, m + dx : m + dx + w] for dy, dx in self.offsets], dim=-3)
