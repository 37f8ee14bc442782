"""Draw the images of the generated scenes: objects of several colors and textures among clutter that shares them.

Each image has its own random stream, seeded by (seed, split, index). Equal seeds give equal pixels and masks on any
x86-64 CPU: array operations are only `+ - * /`, comparisons, rounding and square roots, which IEEE 754 defines to the
bit, and cosines come from a rounded table.

The constants here and in `scene_objects`, `scene_outlines` and `scene_surfaces` are calibrated on statistics of photos
(`core.appearance`), never on what a network reaches. All lengths are relative to the image.
"""

from itertools import count

import numpy as np
from jaxtyping import UInt8

from core.datasets.sources.scene_canvas import GROUND, Canvas
from core.datasets.sources.scene_objects import draw_object, is_seen
from core.datasets.sources.scene_outlines import blobs, placed
from core.datasets.sources.shape_drawing import SPLITS, Instance

STREAM = 2  # apart from the random streams of `shape_drawing`
COUNTS = (21, 17, 16, 12, 9, 7, 5.5, 4, 3, 2, 1.5, 1, 1)  # percentage of scenes in which 1, 2, ... objects are tried
DIAMETERS = (0.112, 0.14, 0.213, 0.37, 0.71, 1.05)  # of an object: quantiles, at the shares
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
HORIZON = (0.2, 0.8)
NUM_CLUTTER = (12, 50)  # pieces on the ground, at least and less than
CLUTTER_RADII = (0.02, 0.28)  # at least, and what is added to it at most
NUM_FRONT = (0, 4)  # pieces in front of all objects
GROUND_ROUGHNESS, FRONT_ROUGHNESS = 0.6, 1.0


def draw(seed: int, split: str, index: int, size: int) -> tuple[UInt8[np.ndarray, "H W 3"], list[Instance]]:
    """Draw image `index` of a split: RGB pixels, and instances from back to front.

    A pixel belongs to the frontmost object that covers its center, unless clutter is in front of it. Objects of which
    too little remains (`is_seen`) are drawn but are no instances; a scene without any is drawn anew.
    """
    for attempt in count():
        rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index, STREAM, attempt]))
        pixels, instances = draw_scene(rng, size)
        if instances:
            break
    return pixels, instances


def draw_scene(rng: np.random.Generator, size: int) -> tuple[UInt8[np.ndarray, "H W 3"], list[Instance]]:
    """Draw one scene from back to front."""
    canvas = Canvas.empty(rng, size)
    draw_ground(canvas)
    tried = 1 + int(np.searchsorted(np.cumsum(COUNTS), rng.random() * sum(COUNTS), side="right"))
    diameters = np.sort(np.interp(rng.random(tried), SHARES, DIAMETERS))[::-1]
    for diameter in diameters.tolist():  # the largest is in the back
        draw_object(canvas, diameter)
    draw_front(canvas)
    pixels = canvas.surfaces.render(rng, canvas.surface, canvas.light)
    masks = [canvas.owner == number for number in range(len(canvas.names))]
    instances = [Instance(name, mask) for name, mask in zip(canvas.names, masks, strict=True) if is_seen(mask, size)]
    return pixels, instances


def draw_ground(canvas: Canvas) -> None:
    """Two surfaces that meet at a horizon, and clutter on them, the largest in the back."""
    rng = canvas.rng
    horizon = rng.uniform(*HORIZON)
    for top in (0.0, horizon):
        canvas.paint(np.array([(0, top), (1, top), (1, 1), (0, 1)]), GROUND_ROUGHNESS)
    pieces = int(rng.integers(*NUM_CLUTTER))
    share = rng.random(pieces)
    smallest, more = CLUTTER_RADII
    radii = np.sort(smallest + more * share * share * share)[::-1]  # few are large
    straight = 0.25 * rng.integers(0, 2, pieces) + rng.uniform(-0.03, 0.03, pieces)
    turns = np.where(rng.random(pieces) < 0.3, rng.random(pieces), straight)
    for outline in placed(blobs(rng, pieces), rng.random((pieces, 2)), radii, rng.uniform(0.15, 1, pieces), turns):
        canvas.paint(outline, GROUND_ROUGHNESS)


def draw_front(canvas: Canvas) -> None:
    """Thin clutter in front of the objects, such as poles and branches, which hides parts of them."""
    rng = canvas.rng
    pieces = int(rng.integers(*NUM_FRONT))
    radii, aspects = rng.uniform(0.05, 0.15, pieces), rng.uniform(0.05, 0.3, pieces)
    for outline in placed(blobs(rng, pieces), rng.random((pieces, 2)), radii, aspects, rng.random(pieces)):
        window, inside = canvas.paint(outline, FRONT_ROUGHNESS)
        canvas.owner[window][inside] = GROUND
