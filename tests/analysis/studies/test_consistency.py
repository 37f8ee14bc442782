from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.plots.figures import styled
from analysis.plots.saving import save
from analysis.studies.consistency import consistency_figure, plot_similarity, read_consistency

OFFSETS = [(dy, dx) for dy in (-2, 0, 2) for dx in (-2, 0, 2) if (dy, dx) != (0, 0)]


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """A gray image of 24x32 pixels with a box; each neighbor's map has one value of its own."""
    similarity = np.broadcast_to(np.linspace(0, 1, 8, dtype=np.float32)[:, None, None], (8, 6, 8))
    return {
        "image": np.full((24, 32, 3), 128, dtype=np.uint8),
        "box": np.array([4.0, 8, 20, 24], dtype=np.float32),
        "x_profile": np.array([0, 1, 1, 1, 1, 0, 0, 0], dtype=bool),
        "y_profile": np.array([0, 0, 1, 1, 1, 1], dtype=bool),
        "offsets": np.array(OFFSETS),
        "similarity": similarity,
        "temperature": np.array(2.0),
        "mask_stride": np.array(4),
    }


def test_similarity_falls_into_three_levels_inclusive_from_below(arrays: dict[str, np.ndarray]) -> None:
    similarity = np.array([[0.0, 0.09, 0.1], [0.29, 0.3, 1.0]], dtype=np.float32)
    axis = plot_similarity(Figure().subplots(), similarity, np.array([0.0, 0, 2, 2]))
    levels, veil = (image.get_array() for image in axis.images)
    assert levels.tolist() == [[0, 0, 1], [1, 2, 2]]
    assert (np.asarray(veil)[..., 3] > 0).tolist() == [[False, False, True]] * 2


def test_every_map_stands_where_its_neighbor_lies(arrays: dict[str, np.ndarray]) -> None:
    right = consistency_figure(arrays).subfigs[1]
    titles = [axis.get_title() for axis in right.axes]
    assert titles[:3] == ["$-2$, $-2$", "0, $-2$", "$+2$, $-2$"]  # x, y
    assert titles[4] == "a pixel's edges"
    assert titles[8] == "$+2$, $+2$"
    levels = [np.asarray(axis.images[0].get_array()).item(0) for axis in right.axes if axis.images]
    assert levels == [0, 1, 1, 2, 2, 2, 2, 2]  # 0, 1/7, 2/7, 3/7, ...


def test_equal_arrays_give_equal_bytes(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    written = []
    for run in ("one", "two"):
        with styled():
            files = save(consistency_figure(arrays), tmp_path / run)
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "a.npz", **{name: value for name, value in arrays.items() if name != "box"})
    with pytest.raises(ValueError, match=r"a\.npz: arrays missing: box; found image"):
        read_consistency(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **(arrays | {"offsets": np.zeros((24, 2))}))
    with pytest.raises(ValueError, match=r"b\.npz: 24 neighbors, expected the 8"):
        read_consistency(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", **arrays)
    assert read_consistency(tmp_path / "c.npz").keys() == arrays.keys()
