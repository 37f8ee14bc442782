import math
from pathlib import Path

import numpy as np
import pytest

from core.neighborhood import Neighborhood
from experiments.consistency import BOX, consistency, photo, write_consistency


def test_profiles_say_which_columns_and_rows_the_box_crosses() -> None:
    # Cell centers at 2, 6, 10, 14: the box holds columns 4 to 12 (and one more pixel) and rows 8 to 16.
    arrays = consistency(np.zeros((16, 20, 3), dtype=np.uint8), (4.0, 8.0, 12.0, 16.0), Neighborhood(3, 1), 2.0)
    assert arrays["x_profile"].tolist() == [False, True, True, False, False]
    assert arrays["y_profile"].tolist() == [False, False, True, True]


def test_maps_follow_the_offsets_of_the_neighborhood() -> None:
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:, 8:] = 255  # lightness 0 and 100
    arrays = consistency(image, (0.0, 0.0, 16.0, 16.0), Neighborhood(3, 1), 20.0)
    east, south = (arrays["offsets"].tolist().index(offset) for offset in ([0, 1], [1, 0]))
    assert arrays["similarity"][east, 0].tolist() == pytest.approx([1, math.exp(-100 / 20), 1, 0], abs=1e-6)
    assert arrays["similarity"][south, :, 0].tolist() == [1, 1, 1, 0]


def test_an_image_that_is_not_whole_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="image has 18 x 16 pixels, expected multiples of 4"):
        consistency(np.zeros((16, 18, 3), dtype=np.uint8), (0.0, 0.0, 9.0, 9.0), Neighborhood(), 2.0)


def test_the_box_lies_on_the_photo_and_its_arrays_are_kept(tmp_path: Path) -> None:
    image = photo()
    assert 0 <= BOX[0] < BOX[2] <= image.shape[1]
    assert 0 <= BOX[1] < BOX[3] <= image.shape[0]
    arrays = consistency(image, BOX, Neighborhood(), 2.0)
    write_consistency(arrays, tmp_path / "sub" / "a.npz")
    with np.load(tmp_path / "sub" / "a.npz") as read:
        assert all(np.array_equal(read[name], array) for name, array in arrays.items())
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.npz"]
