"""Surfaces of a scene: colors, shading and textures, and the image of a map of surfaces."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, UInt8

NUM_COLORS = 8  # of the palette of a scene
BRIGHTNESS = (80.0, 160.0)  # mean gray level of a palette
CONTRAST = (53.0, 136.0)  # how far its gray levels are from it at most
CHROMA = 75.0  # at most, of red; of blue half as much again, as in photos
ROUGHNESS = (0.58, 2.05)  # scale of the textures of a scene
CELLS = (64, 30, 14, 6)  # of the noise, along the side of an image: a texture mixes these scales
STRENGTHS = (0.45, 0.8, 1.1, 1.2)  # of these scales: the coarser, the stronger
SHADE = 115.0  # gray levels of a texture of roughness 1
SECOND = 90.0  # how far the second color of a surface of roughness 1 is from its first
STRIPED, STRIPES = 0.2, 16.0  # share of the surfaces; waves along an axis, at most
DAPPLED = 0.5  # share of the scenes with patches of light and shadow
SENSOR_NOISE = 5  # gray levels
NUM_RANDOM = 13  # numbers that a surface draws

Color = Float[np.ndarray, "3"]  # sRGB, 0 to 255


@dataclass(frozen=True)
class Look:
    """What the surfaces of one scene have in common."""

    palette: Float[np.ndarray, "n 3"]
    roughness: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Look":
        gray = rng.uniform(*BRIGHTNESS) + rng.uniform(-1, 1, NUM_COLORS) * rng.uniform(*CONTRAST)
        strength = rng.random((NUM_COLORS, 1))  # most colors are muted
        light = rng.uniform(-12, 12, 2) + np.array([10.0, -12.0])  # reddish rather than bluish
        red, blue = (light + rng.uniform(-1, 1, (NUM_COLORS, 2)) * (strength * strength * CHROMA)).T
        blue = blue - 0.4 * np.abs(red)  # wood and leaves rather than violets
        gray = np.clip(gray, 8, 247)
        palette = np.stack([gray + 0.6 * red, gray - 0.3 * red - 0.15 * blue, gray + 1.5 * blue], axis=1)
        return cls(palette, rng.uniform(*ROUGHNESS))


@dataclass
class Surfaces:
    """The surfaces of a scene, numbered in the order in which they are added."""

    look: Look
    colors: list[Color] = field(default_factory=list)
    slopes: list[np.ndarray] = field(default_factory=list)  # gray levels from one side of the image to the other: x, y
    roughness: list[float] = field(default_factory=list)  # relative to that of the scene

    def add(self, color: Color, slope: np.ndarray, roughness: float = 1.0) -> int:
        """Add a surface; returns its number."""
        self.colors.append(color)
        self.slopes.append(slope)
        self.roughness.append(roughness)
        return len(self.colors) - 1

    def render(
        self, rng: np.random.Generator, surface: Int[np.ndarray, "H W"], light: Float[np.ndarray, "H W"]
    ) -> UInt8[np.ndarray, "H W 3"]:
        """The image of a map of surfaces under `light`, by which all colors are multiplied.

        Every surface has two colors that a texture mixes, and which the texture and the slope make brighter or darker.
        """
        count, size = len(self.colors), len(surface)
        drawn = rng.random((NUM_RANDOM, count))
        rough = self.look.roughness * np.array(self.roughness) * (0.35 + 0.65 * drawn[0])
        color = np.array(self.colors)
        second = self.look.palette[(drawn[1] * NUM_COLORS).astype(np.int64)] - color
        second *= np.minimum(1, SECOND * rough / (np.abs(second).max(1) + 1))[:, None]
        stripes = np.where(drawn[2] < STRIPED, 0.2 + 0.6 * drawn[3], 0)
        waves = STRIPES * (2 * drawn[4:6] - 1)
        weights = (2 * drawn[6:10] - 1) * np.array(STRENGTHS)[:, None]
        gain, bias = 0.5 + 2.5 * drawn[10], 1.3 * drawn[11] - 0.5
        shade = SHADE * rough * (0.35 + 0.65 * drawn[12])

        def at(values: np.ndarray) -> Float[np.ndarray, "H W *"]:
            return values.astype(np.float32).take(surface, axis=0)

        x = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
        y = x[:, None]
        phase = at(waves[0]) * x + at(waves[1]) * y
        texture = at(stripes) * (4 * np.abs(phase - np.floor(phase) - np.float32(0.5)) - 1)
        fields = [noise(rng, size, cells) for cells in CELLS]
        for weight, values in zip(weights, fields, strict=True):
            texture += at(weight) * values
        slopes = np.array(self.slopes)
        gray = at(slopes[:, 0]) * x + at(slopes[:, 1]) * y + at(shade) * texture
        mixed = np.clip(at(gain) * texture + at(bias), 0, 1)
        if rng.random() < DAPPLED:
            light = light * (1 - np.float32(0.5 * rng.random()) * np.clip(3 * (fields[2] + fields[3]), 0, 1))
        image = at(second)
        image *= mixed[..., None]
        image += at(color)
        image += gray[..., None]
        image *= light[..., None]
        image = blurred(blurred(image).transpose(1, 0, 2)).transpose(1, 0, 2)
        image += rng.integers(-SENSOR_NOISE, SENSOR_NOISE + 1, (size, size, 1), dtype=np.int8)
        return np.clip(np.floor(image + np.float32(0.5)), 0, 255).astype(np.uint8)


def noise(rng: np.random.Generator, size: int, cells: int) -> Float[np.ndarray, "H W"]:
    """Smooth noise of -1 to 1: random values on a lattice, interpolated bilinearly."""
    corners = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    place = (np.arange(size) + rng.random()) * (cells / size)
    index = np.floor(place).astype(np.int64)
    offset = (place - index).astype(np.float32)
    rows = corners[index] * (1 - offset)[:, None] + corners[index + 1] * offset[:, None]
    return rows[:, index] * (1 - offset) + rows[:, index + 1] * offset


def blurred(image: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """Mix each row with the two beside it, 1 to 6 to 1; the first and the last stay."""
    result = image.copy()
    result[1:-1] = (image[1:-1] * 6 + image[:-2] + image[2:]) / 8
    return result
