"""Colors of an object and of the ring around it, in CIE-LAB."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

RING_WIDTH = 0.15  # of the square root of the object's area
MIN_RING_WIDTH = 2  # px
MODE_RADIUS = 10.0  # LAB: what still counts as one color
COVERED = 0.9  # share of an object's pixels that its color modes cover
MAX_PIXELS = 400  # of an object or ring whose colors are compared, evenly spread in row-major order


@dataclass(frozen=True)
class Coloring:
    """Of one object."""

    contrast: float  # LAB distance between the mean colors of object and ring
    spread: float  # root mean square LAB distance of its pixels to their mean
    ring_spread: float  # and of those of the ring to theirs
    modes: int  # color modes, see `color_modes`
    shared: float  # share of the ring that has a color of the object: within MODE_RADIUS of one of its modes


def measure_coloring(lab: Float[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]) -> Coloring | None:
    """Measure one object; None if it has no pixel, or the ring has none (it fills the image)."""
    if not mask.any():
        return None
    margin = ring_width(mask)
    window = tuple(slice(max(at.min() - margin, 0), at.max() + 1 + margin) for at in np.nonzero(mask))
    lab, mask = lab[window], mask[window]  # the rest of the image is far from both
    inside, outside = lab[mask], lab[ring(mask)]
    if not len(outside):
        return None
    modes = color_modes(_some(inside))
    return Coloring(
        contrast=float(np.linalg.norm(inside.mean(0) - outside.mean(0))),
        spread=_spread(inside),
        ring_spread=_spread(outside),
        modes=len(modes),
        shared=float((_distances(_some(outside), modes) <= MODE_RADIUS).any(1).mean()),
    )


def ring(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """The pixels around a mask: outside it, at most RING_WIDTH of its size away along each axis.

    They may be those of other objects.
    """
    width = ring_width(mask)
    return _near(_near(mask, width).T, width).T & ~mask


def ring_width(mask: Bool[np.ndarray, "H W"]) -> int:
    """In pixels."""
    return max(MIN_RING_WIDTH, round(RING_WIDTH * float(np.sqrt(mask.sum()))))


def color_modes(colors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "modes 3"]:
    """The fewest colors, found greedily, of which one is within MODE_RADIUS of COVERED of the given ones.

    Each is the given color with the most uncovered ones around it: 1 for a surface of one color, the number of parts
    for parts of clearly different colors.
    """
    near = _distances(colors, colors) <= MODE_RADIUS
    uncovered = np.ones(len(colors), dtype=bool)
    modes = []
    while uncovered.sum() > (1 - COVERED) * len(colors):
        modes.append(int(near[:, uncovered].sum(1).argmax()))
        uncovered &= ~near[modes[-1]]
    return colors[modes]


def _some(colors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 3"]:
    """At most MAX_PIXELS of the colors, evenly spread."""
    count = min(len(colors), MAX_PIXELS)
    return colors[np.arange(count) * len(colors) // count]


def _distances(one: Float[np.ndarray, "n 3"], other: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "n m"]:
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0))  # rounding may leave less than 0


def _spread(colors: Float[np.ndarray, "n 3"]) -> float:
    return float(np.sqrt(((colors - colors.mean(0)) ** 2).sum(1).mean()))


def _near(mask: Bool[np.ndarray, "H W"], width: int) -> Bool[np.ndarray, "H W"]:
    """Pixels with one of the mask at most `width` rows away, in their column."""
    counts = np.cumsum(np.pad(mask, ((width + 1, width), (0, 0))), axis=0)
    return counts[2 * width + 1 :] > counts[: -2 * width - 1]
