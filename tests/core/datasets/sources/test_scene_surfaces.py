"""Surfaces of scenes: what their image shows of color, light and texture."""

import numpy as np
import pytest

from core.datasets.sources import scene_surfaces
from core.datasets.sources.scene_surfaces import SENSOR_NOISE, Look, Surfaces, blurred, noise


def flat() -> Surfaces:
    """Two surfaces without texture: dark gray and orange."""
    surfaces = Surfaces(Look(np.full((8, 3), 120.0), roughness=0.0))
    for color in ([60.0, 60, 60], [200.0, 120, 40]):
        surfaces.add(np.array(color), np.zeros(2))
    return surfaces


def halves(size: int) -> np.ndarray:
    surface = np.zeros((size, size), dtype=np.int64)
    surface[:, size // 2 :] = 1
    return surface


@pytest.fixture(autouse=True)
def without_dapples(monkeypatch: pytest.MonkeyPatch) -> None:
    """No patches of light and shadow, which some scenes have."""
    monkeypatch.setattr(scene_surfaces, "DAPPLED", 0)


def render(surfaces: Surfaces, light: np.ndarray) -> np.ndarray:
    return surfaces.render(np.random.default_rng(3), halves(len(light)), light)


def test_surfaces_without_texture_have_their_color_up_to_the_noise_of_the_sensor():
    pixels = render(flat(), np.ones((40, 40), dtype=np.float32)).astype(int)
    assert np.abs(pixels[:, :18] - [60, 60, 60]).max() <= SENSOR_NOISE + 1
    assert np.abs(pixels[:, 22:] - [200, 120, 40]).max() <= SENSOR_NOISE + 1


def test_light_multiplies_colors():
    light = np.ones((40, 40), dtype=np.float32)
    light[20:] = 0.5
    pixels = render(flat(), light).astype(int)
    assert np.abs(pixels[22:, 22:] - [100, 60, 20]).max() <= SENSOR_NOISE + 1


def test_rough_surfaces_vary_more_than_smooth_ones():
    def spread(roughness: float) -> float:
        surfaces = Surfaces(Look(np.full((8, 3), 120.0), roughness))
        surfaces.add(np.full(3, 120.0), np.zeros(2))
        image = surfaces.render(np.random.default_rng(3), np.zeros((80, 80), dtype=np.int64), np.ones((80, 80)))
        return float(image.std())

    assert spread(0.0) < spread(0.3) < spread(1.0)


def test_a_slope_is_the_difference_from_one_side_to_the_other():
    surfaces = Surfaces(Look(np.full((8, 3), 120.0), roughness=0.0))
    surfaces.add(np.full(3, 120.0), np.array([80.0, 0.0]))
    image = surfaces.render(np.random.default_rng(3), np.zeros((80, 80), dtype=np.int64), np.ones((80, 80)))
    columns = image.mean((0, 2))
    assert columns[-2] - columns[1] == pytest.approx(80 * 77 / 80, abs=2)


def test_blurring_mixes_rows_one_to_six_to_one():
    rows = np.tile(np.array([0.0, 0, 8, 0, 0])[:, None, None], (1, 1, 3))
    assert blurred(rows)[:, 0, 0].tolist() == [0, 1, 6, 1, 0]


def test_noise_is_smooth_between_the_points_of_its_lattice():
    values = noise(np.random.default_rng(0), 100, cells=5)  # 20 px between points
    assert np.abs(values).max() <= 1
    assert np.abs(np.diff(values, axis=0)).max() <= 2 / 20 + 1e-6
