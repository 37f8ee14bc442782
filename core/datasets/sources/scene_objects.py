"""The objects of a scene: where they stand, what of them is visible, and how they are painted."""

import math

import numpy as np
from jaxtyping import Bool, Float

from core.datasets.sources.scene_canvas import Canvas
from core.datasets.sources.scene_outlines import Vertices, blobs, object_outline, pixels_inside, placed
from core.datasets.sources.shape_drawing import CLASSES

SMALLEST_BOX = 16.5 / 160  # square root of the area of a box, relative to the image
MIN_FILL = 0.12  # share of its box that an object fills
MIN_VISIBLE_SHARE = 0.5  # of the pixels of an object, after occlusion by later ones
ATTEMPTS = 8  # to find a place
ON_ANOTHER = 0.1  # share of the objects whose center lies on an earlier one
UPRIGHT = 0.85  # share of the objects that are hardly turned
RADIUS = 0.62  # of an outline, relative to the diameter
ASPECTS = (0.33, 1.0)
SHADOW = (0.5, 1.0)  # light that remains in the shadow of an object
SHADOW_OFFSET = 0.12  # of the diameter

BRIGHTER = 80.0  # gray levels by which an object may be brighter or darker than the colors of the scene
TINTED = 22.0  # and by which its red, green and blue may differ from that
SLOPE = 45.0  # gray levels of its shading, from one side to the other
ROUGHNESS = 1.28
PLAIN, PLAIN_ROUGHNESS = 0.095, 0.25  # share of the objects of a single surface
NUM_PARTS = (3, 10)  # patches of other surfaces on an object, at least and less than
OWN_COLOR = 0.35  # share of the patches that have one of the two colors of the object, not one of the scene
PART_BRIGHTER = 26.0
NUM_COVERS = (1.0, 5.0)  # patches over the border of an object, at least and less than
COVER_ROUGHNESS = 0.5


def draw_object(canvas: Canvas, diameter: float) -> None:
    """Place one object in front of all others and paint it, unless there is no room.

    There is room where each earlier object keeps MIN_VISIBLE_SHARE of its pixels. `diameter` is relative to the image.
    """
    rng, size, number = canvas.rng, canvas.size, len(canvas.names)
    for _attempt in range(ATTEMPTS):
        name = CLASSES[int(rng.integers(len(CLASSES)))]
        outline = object_outline(rng, name)
        center, aspect, turn = any_place(canvas), rng.uniform(*ASPECTS), any_turn(rng, name)
        vertices = placed(outline, center, RADIUS * diameter, aspect, turn)
        window, inside = pixels_inside(vertices, size)
        if not is_seen(inside, size):
            continue
        lost = np.bincount(canvas.owner[window][inside] + 1, minlength=number + 1)[1:].tolist()
        left = [visible - less for visible, less in zip(canvas.visible, lost, strict=True)]
        if all(rest >= MIN_VISIBLE_SHARE * whole for rest, whole in zip(left, canvas.whole, strict=True)):
            break
    else:
        return
    count = int(inside.sum())
    canvas.names.append(name)
    canvas.whole.append(count)
    canvas.visible = [*left, count]
    canvas.owner[window][inside] = number
    _cast_shadow(canvas, diameter, vertices)
    canvas.light[window][inside] = 1
    _paint(canvas, diameter, vertices)


def is_seen(mask: Bool[np.ndarray, "rows columns"], size: int) -> bool:
    """Whether an object is large enough to be annotated in an image of `size` px, and fills enough of its box."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return False
    box = int((rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1))
    return math.sqrt(box) >= SMALLEST_BOX * size and int(mask.sum()) >= MIN_FILL * box


def any_place(canvas: Canvas) -> Float[np.ndarray, "2"]:
    """Center of the next object: anywhere, or on an earlier one."""
    rng = canvas.rng
    if canvas.names and rng.random() < ON_ANOTHER:
        rows, columns = np.nonzero(canvas.owner == int(rng.integers(len(canvas.names))))
        i = int(rng.integers(len(rows)))
        return np.array([columns[i] + 0.5, rows[i] + 0.5]) / canvas.size
    return rng.uniform(0.03, 0.97, 2)


def any_turn(rng: np.random.Generator, name: str) -> float:
    """How far an object is turned, in full turns; triangles and stars stand upright with a corner above."""
    if rng.random() >= UPRIGHT:
        return rng.random()
    return rng.uniform(-0.04, 0.04) - (0.25 if name in ("triangle", "star") else 0)


def _cast_shadow(canvas: Canvas, diameter: float, vertices: Vertices) -> None:
    """Darken what is behind the object in front, beside and below it."""
    rng, number = canvas.rng, len(canvas.names) - 1
    offset = diameter * SHADOW_OFFSET * np.array([rng.uniform(-1, 1), 1])
    window, inside = pixels_inside(vertices + offset, canvas.size)
    canvas.light[window][inside & (canvas.owner[window] != number)] *= np.float32(rng.uniform(*SHADOW))


def _paint(canvas: Canvas, diameter: float, vertices: Vertices) -> None:
    """Paint the object in front: a surface, and patches of its own and other colors on it, under one shading."""
    rng, size, surfaces, number = canvas.rng, canvas.size, canvas.surfaces, len(canvas.names) - 1
    low, high = vertices.min(0), vertices.max(0)
    slope = rng.uniform(-SLOPE, SLOPE, 2) / max(diameter, 0.15)
    level = float(slope[0] * ((low + high) / 2 - 0.5)[0] + slope[1] * ((low + high) / 2 - 0.5)[1])  # at its middle
    shift = rng.uniform(-BRIGHTER, BRIGHTER) + rng.uniform(-TINTED, TINTED, 3)
    own = [canvas.any_color() + shift for _ in range(2)]
    mine = canvas.owner == number
    is_plain = rng.random() < PLAIN
    canvas.surface[mine] = surfaces.add(own[0] - level, slope, PLAIN_ROUGHNESS if is_plain else ROUGHNESS)
    if is_plain:
        return
    count = int(rng.integers(*NUM_PARTS))
    centers = low + (high - low) * rng.random((count, 2))
    radii, aspects = diameter * rng.uniform(0.08, 0.4, count), rng.uniform(0.3, 1, count)
    for outline in placed(blobs(rng, count), centers, radii, aspects, rng.random(count)):
        window, inside = pixels_inside(outline, size)
        color = own[int(rng.integers(2))] if rng.random() < OWN_COLOR else canvas.any_color()
        color = color + rng.uniform(-PART_BRIGHTER, PART_BRIGHTER) - level
        canvas.surface[window][inside & mine[window]] = surfaces.add(color, slope, ROUGHNESS)
    _cover_border(canvas, diameter, vertices)


def _cover_border(canvas: Canvas, diameter: float, vertices: Vertices) -> None:
    """Cover parts of the border by patches that hide it, as glare, deep shadow and dirt do."""
    rng = canvas.rng
    count = int(rng.uniform(*NUM_COVERS))
    centers = vertices[rng.integers(0, len(vertices), count)]
    radii, aspects = diameter * rng.uniform(0.12, 0.38, count), rng.uniform(0.2, 1, count)
    for outline in placed(blobs(rng, count), centers, radii, aspects, rng.random(count)):
        canvas.paint(outline, COVER_ROUGHNESS)
