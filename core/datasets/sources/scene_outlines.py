"""Outlines in a scene, as polygons, and the pixels inside them.

Coordinates are relative to the image: 0 to 1 along both axes.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

Vertices = Float[np.ndarray, "n 2"]  # (x, y)

TURNS = 720  # steps of a full turn in the table of cosines
COSINES = np.array([round(math.cos(2 * math.pi * i / TURNS), 9) for i in range(TURNS)])
OBJECT_VERTICES = 60  # divisible by the number of corners of each class
OBJECT_WAVES = (2, 3, 5)  # a turn: how the radius of an object deviates from that of its class
MAX_WAVE = 0.07  # of the radius, each of them
BLOB_TURNS = np.arange(16) / 16
BLOB_WAVES = (2, 3, 5)
MAX_BLOB_WAVE = 0.2


def cosine(turn: np.ndarray) -> np.ndarray:
    """Cosine of fractions of a full turn, from a table, so that all C libraries agree; `turn - 0.25` gives the sine."""
    return COSINES[np.floor(turn * TURNS + 0.5).astype(np.int64) % TURNS]


def object_outline(rng: np.random.Generator, name: str) -> Vertices:
    """The outline of an object of a class, about within the unit circle; no two are equal."""
    turns = np.arange(OBJECT_VERTICES) / OBJECT_VERTICES
    if name == "ellipse":
        corners = _polar(turns, _between_circle_and_square(turns, rng.uniform(0, 1)))
    elif name == "triangle":
        side = rng.uniform(0.30, 0.42)
        corners = _polar(np.array([0.0, side, 1 - side]), np.ones(3))
    elif name == "star":
        inner = rng.uniform(0.27, 0.75)
        corners = _polar(np.arange(10) / 10, np.where(np.arange(10) % 2 == 0, 1.0, inner))
    else:  # the plus sign
        arm = rng.uniform(0.15, 0.65)
        right = [(0.95, -arm), (0.95, arm), (arm, arm)]
        corners = np.array([point for quarters in range(4) for point in (_turned(*p, quarters) for p in right)])
    outline = _subdivided(corners)
    waves = zip(OBJECT_WAVES, rng.uniform(0, MAX_WAVE, 3), rng.random(3), strict=True)
    return outline * (1 + sum(height * cosine(count * turns + start) for count, height, start in waves))[:, None]


def blobs(rng: np.random.Generator, count: int) -> Float[np.ndarray, "count 16 2"]:
    """Outlines of clutter, about within the unit circle: between round with bumps and crooked quadrangles."""
    square = rng.random((count, 1))
    radii = _between_circle_and_square(BLOB_TURNS, square)
    for waves in BLOB_WAVES:
        height = MAX_BLOB_WAVE * (1 - square) * rng.random((count, 1))
        radii = radii + height * cosine(waves * BLOB_TURNS + rng.random((count, 1)))
    radii = radii * (1 + 0.3 * square * cosine(BLOB_TURNS + rng.random((count, 1))))  # no parallel sides
    return _polar(BLOB_TURNS, 0.8 * radii)


def placed(
    outlines: Float[np.ndarray, "*count n 2"],
    center: Float[np.ndarray, "*count 2"],
    radius: Float[np.ndarray, "*count"] | float,
    aspect: Float[np.ndarray, "*count"] | float,
    turn: Float[np.ndarray, "*count"] | float,
) -> Float[np.ndarray, "*count n 2"]:
    """Outlines squeezed along their y axis without change of area, then turned, enlarged and moved."""
    stretch = np.sqrt(np.asarray(aspect))[..., None]
    radius, turn = np.asarray(radius)[..., None], np.asarray(turn)[..., None]
    x, y = outlines[..., 0] * (radius / stretch), outlines[..., 1] * (radius * stretch)
    cos, sin = cosine(turn), cosine(turn - 0.25)
    return np.stack([center[..., :1] + x * cos - y * sin, center[..., 1:] + x * sin + y * cos], axis=-1)


def pixels_inside(vertices: Vertices, size: int) -> tuple[tuple[slice, slice], Bool[np.ndarray, "rows columns"]]:
    """The part of a square image that a polygon reaches, and which of its pixels have a center inside (even-odd)."""
    x, y = vertices[:, 0] * size, vertices[:, 1] * size
    left, right, top, bottom = (
        min(max(int(limit + 0.5), 0), size) for limit in (x.min(), x.max() + 1, y.min(), y.max() + 1)
    )
    before_x, before_y = np.concatenate([x[-1:], x[:-1]]), np.concatenate([y[-1:], y[:-1]])
    centers = np.arange(top, bottom) + 0.5
    above = y[:, None] > centers
    side, row = np.nonzero(above != np.concatenate([above[-1:], above[:-1]]))  # a side of the polygon crosses a row
    slope = (x - before_x)[side] / (y - before_y)[side]
    crossing = x[side] + (centers[row] - y[side]) * slope
    width = right - left
    column = np.minimum(np.maximum(np.ceil(crossing - (0.5 + left)), 0), width).astype(np.int64)
    count = np.bincount(row * (width + 1) + column, minlength=(bottom - top) * (width + 1))
    inside = (np.cumsum(count.reshape(bottom - top, width + 1), axis=1) & 1).astype(bool)
    return (slice(top, bottom), slice(left, right)), inside[:, :width]


def _polar(turns: np.ndarray, radii: np.ndarray) -> Float[np.ndarray, "*count n 2"]:
    return np.stack([radii * cosine(turns), radii * cosine(turns - 0.25)], axis=-1)


def _between_circle_and_square(turns: Float[np.ndarray, " n"], square: np.ndarray | float) -> np.ndarray:
    """Radii of a square of half width 1 where `square` is 1, of the circle in it where it is 0."""
    return 1 + square * (1 / np.maximum(np.abs(cosine(turns)), np.abs(cosine(turns - 0.25))) - 1)


def _turned(x: float, y: float, quarters: int) -> tuple[float, float]:
    for _ in range(quarters):
        x, y = -y, x
    return x, y


def _subdivided(corners: Float[np.ndarray, "corners 2"]) -> Vertices:
    """The same outline with OBJECT_VERTICES vertices, equally many on each side."""
    parts = OBJECT_VERTICES // len(corners)
    share = (np.arange(parts) / parts)[None, :, None]
    return (corners[:, None] * (1 - share) + np.roll(corners, -1, axis=0)[:, None] * share).reshape(-1, 2)
