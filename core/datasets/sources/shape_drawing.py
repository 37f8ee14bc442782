"""Draw the images of the generated data set: textured shapes that occlude each other on a textured background.

Each image has its own random stream, seeded by (seed, split, index). Equal seeds give equal pixels and masks on any
x86-64 CPU: array operations are only `+ - * /`, comparisons and square roots, which IEEE 754 defines to the bit; sines
and powers are computed for single numbers and rounded.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

CLASSES = ("ellipse", "triangle", "star", "cross")
SPLITS = ("train", "val", "test")
DIAMETERS = (40.0, 100.0)  # px, of the circumscribed circle of a shape
MAX_INSTANCES = 4
MIN_VISIBLE_SHARE = 0.4  # of the pixels of an instance, after occlusion
MIN_VISIBLE_PIXELS = 80
COLOR_DISTANCES = (16.0, 60.0)  # CIE-LAB, between an instance and the background

Canvas = Float[np.ndarray, "H W"]


@dataclass(frozen=True)
class Instance:
    """One shape: class name and visible mask."""

    name: str
    mask: Bool[np.ndarray, "H W"]


def outline(name: str, aspect: float) -> list[tuple[float, float]]:
    """Vertices of a shape within the unit circle; `aspect` (0..1) squeezes its y axis."""
    if name == "ellipse":
        polar = [(i / 28, 1.0) for i in range(28)]
    elif name == "triangle":
        polar = [(0.0, 1.0), (0.36, 1.0), (0.64, 1.0)]
    elif name == "star":
        polar = [(i / 10, 1.0 if i % 2 == 0 else 0.48) for i in range(10)]
    else:  # the plus sign: arms as wide as 0.44 of their length
        a, b = 0.40, 0.91
        corners = [(b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a), (-a, -b), (a, -b)]
        return [(x, y * aspect) for x, y in [*corners, (a, -a)]]
    return [(radius * _cos(turn), radius * _cos(turn - 0.25) * aspect) for turn, radius in polar]


def signed_distance(vertices: list[tuple[float | int, float | int]], size: int) -> Canvas:
    """Distance in pixels from each pixel center to the outline of a polygon, negative inside (even-odd rule)."""
    y, x = _pixel_centers(size)
    squared = np.full((size, size), np.inf)
    inside = np.zeros((size, size), dtype=bool)
    for (ax, ay), (bx, by) in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
        ex, ey = bx - ax, by - ay
        along = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
        squared = np.minimum(squared, (x - ax - along * ex) ** 2 + (y - ay - along * ey) ** 2)
        if ey != 0:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (ex / ey))
    return np.where(inside, -1.0, 1.0) * np.sqrt(squared)


def draw(seed: int, split: str, index: int, size: int) -> tuple[UInt8[np.ndarray, "H W 3"], list[Instance]]:
    """Draw image `index` of a split: RGB pixels, and instances from back to front.

    Edges are anti-aliased; a pixel belongs to the frontmost shape that covers its center. A shape that would leave
    less than MIN_VISIBLE_SHARE or MIN_VISIBLE_PIXELS of another visible is placed elsewhere, or left out.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index]))
    ground = _random_color(rng, [], COLOR_DISTANCES)
    colors = [ground]
    image = _surface(rng, ground, size)

    names: list[str] = []
    whole: list[Bool[np.ndarray, "H W"]] = []  # masks without occlusion
    visible: list[Bool[np.ndarray, "H W"]] = []
    for _ in range(int(rng.integers(1, MAX_INSTANCES + 1))):
        for _attempt in range(8):
            name = CLASSES[int(rng.integers(len(CLASSES)))]
            distance = signed_distance(_place(rng, name, visible, size), size)
            mask = distance < 0
            remaining = [other & ~mask for other in visible]
            if all(_is_visible(part, full) for part, full in zip([*remaining, mask], [*whole, mask], strict=True)):
                break
        else:
            continue
        names.append(name)
        whole.append(mask)
        visible = [*remaining, mask]
        colors.append(_random_color(rng, colors, COLOR_DISTANCES))
        coverage = np.clip(0.5 - distance, 0, 1)[..., None]
        image = image * (1 - coverage) + _surface(rng, colors[-1], size) * coverage
    image += rng.integers(-2, 3, (size, size, 1))  # camera noise
    pixels = np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)
    return pixels, [Instance(name, mask) for name, mask in zip(names, visible, strict=True)]


def _is_visible(part: Bool[np.ndarray, "H W"], full: Bool[np.ndarray, "H W"]) -> bool:
    return bool(part.sum() >= max(MIN_VISIBLE_SHARE * full.sum(), MIN_VISIBLE_PIXELS))


def _place(rng: np.random.Generator, name: str, visible: list, size: int) -> list[tuple[float, float]]:
    """Vertices in pixels, entirely inside the image; about half of the shapes touch an earlier one."""
    low, high = DIAMETERS[0], min(DIAMETERS[1], 0.75 * size)
    radius = 0.5 * rng.uniform(low, high)
    turn, aspect = rng.random(), rng.uniform(0.6, 1.0)
    cosine, sine = _cos(turn), _cos(turn - 0.25)
    center_x, center_y = rng.uniform(radius, size - radius, 2)
    if visible and rng.random() < 0.5:
        rows, columns = np.nonzero(visible[int(rng.integers(len(visible)))])
        near_x, near_y = columns.min() + np.ptp(columns) * rng.random(), rows.min() + np.ptp(rows) * rng.random()
        center_x, center_y = np.clip([near_x, near_y], radius, size - radius)
    return [
        (float(center_x + radius * (x * cosine - y * sine)), float(center_y + radius * (x * sine + y * cosine)))
        for x, y in outline(name, aspect)
    ]


def _surface(rng: np.random.Generator, color: tuple[int, int, int], size: int) -> Float[np.ndarray, "H W 3"]:
    """A base color with low-contrast texture: a gradient, optional stripes, blotches and grain, in gray levels."""
    y, x = _pixel_centers(size)
    turn = rng.random()
    across = x * _cos(turn) + y * _cos(turn - 0.25)
    shade = rng.uniform(-20, 20) * (across / size - 0.5)
    stripes = across / rng.uniform(7, 20) + rng.random()
    shade += rng.choice([0.0, 5.0, 9.0]) * (4 * np.abs(stripes - np.floor(stripes) - 0.5) - 1)
    shade += rng.uniform(5, 14) * _blotches(rng, size, cell=int(rng.integers(9, 25)))
    shade += rng.integers(-3, 4, (size, size))
    tint = rng.uniform(0.7, 1.0, 3)
    hue = rng.uniform(0, 6) * _blotches(rng, size, cell=int(rng.integers(16, 40)))
    return np.array(color) + shade[..., None] * tint + hue[..., None] * rng.uniform(-1, 1, 3)


def _blotches(rng: np.random.Generator, size: int, cell: int) -> Canvas:
    """Smooth noise of -1..1: random values on a lattice of `cell` pixels, interpolated bilinearly."""
    corners = rng.uniform(-1, 1, (size // cell + 2, size // cell + 2))
    index, offset = np.arange(size) // cell, (np.arange(size) % cell) / cell
    rows = corners[index] * (1 - offset)[:, None] + corners[index + 1] * offset[:, None]
    return rows[:, index] * (1 - offset) + rows[:, index + 1] * offset


def _random_color(
    rng: np.random.Generator, others: list[tuple[int, int, int]], distances: tuple[float, float]
) -> tuple[int, int, int]:
    """A color whose LAB distance to `others[0]` is in `distances`, and to the rest at least the lower limit.

    After 200 failed draws the last one is used: a few instances may be hard to see, as in photos.
    """
    for _attempt in range(200):
        color = tuple(int(level) for level in rng.integers(30, 226, 3))
        lab = _lab(color)
        gaps = [math.dist(lab, _lab(other)) for other in others]
        muted = math.hypot(lab[1], lab[2]) < 45  # chroma of surfaces, not of lamps
        if muted and all(gap >= distances[0] for gap in gaps) and (not gaps or gaps[0] <= distances[1]):
            break
    return color


def _lab(color: tuple[int, int, int]) -> tuple[float, float, float]:
    """CIE-LAB (D65, 2 degrees) of one 8-bit sRGB color, rounded."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (level / 255 for level in color)]
    r, g, b = linear
    xyz = (
        (0.412453 * r + 0.357580 * g + 0.180423 * b) / 0.95047,
        0.212671 * r + 0.715160 * g + 0.072169 * b,
        (0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883,
    )
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return round(116 * fy - 16, 6), round(500 * (fx - fy), 6), round(200 * (fy - fz), 6)


def _cos(turn: float) -> float:
    """Cosine of a fraction of a full turn, rounded so that all C libraries agree; `_cos(turn - 0.25)` is the sine."""
    return round(math.cos(2 * math.pi * turn), 9)


def _pixel_centers(size: int) -> tuple[Float[np.ndarray, "H 1"], Float[np.ndarray, "1 W"]]:
    centers = np.arange(size) + 0.5
    return centers[:, None], centers[None, :]
