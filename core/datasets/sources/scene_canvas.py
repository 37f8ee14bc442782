"""A scene while it is drawn, from back to front: which surface, object and light each pixel has."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from core.datasets.sources.scene_outlines import Vertices, pixels_inside
from core.datasets.sources.scene_surfaces import Color, Look, Surfaces

GROUND = -1  # owner of what belongs to no object


@dataclass
class Canvas:
    """Maps of a square scene, its surfaces, and its objects by number."""

    rng: np.random.Generator
    size: int  # px, of both sides
    surfaces: Surfaces
    surface: Int[np.ndarray, "H W"]  # number of the surface at each pixel
    owner: Int[np.ndarray, "H W"]  # number of the object at each pixel, or GROUND
    light: Float[np.ndarray, "H W"]  # factor of all colors
    names: list[str] = field(default_factory=list)  # class of each object
    whole: list[int] = field(default_factory=list)  # its pixels before later objects cover it
    visible: list[int] = field(default_factory=list)  # and after

    @classmethod
    def empty(cls, rng: np.random.Generator, size: int) -> "Canvas":
        """Nothing but surface 0, which is yet to be added."""
        shape = (size, size)
        light = np.ones(shape, dtype=np.float32)
        return cls(rng, size, Surfaces(Look.draw(rng)), np.zeros(shape, dtype=np.int64), np.full(shape, GROUND), light)

    def any_color(self) -> Color:
        """One of the scene's palette, a little brighter or darker."""
        palette = self.surfaces.look.palette
        return palette[int(self.rng.integers(len(palette)))] + self.rng.uniform(-12, 12)

    def paint(self, outline: Vertices, roughness: float) -> tuple[tuple[slice, slice], np.ndarray]:
        """Paint a polygon with a surface of any color; returns the pixels, as `pixels_inside`."""
        window, inside = pixels_inside(outline, self.size)
        slope = self.rng.uniform(-50, 50, 2)
        self.surface[window][inside] = self.surfaces.add(self.any_color(), slope, roughness)
        return window, inside
