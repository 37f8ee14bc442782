"""Objects and edges of whole annotation files."""

import numpy as np
import pytest
from PIL import Image

from core.appearance.measure import Sizes, measure
from core.appearance.statistics import statistics
from core.datasets.annotation_file import AnnotationFile


def square(x: int, y: int, side: int, **more: object) -> dict:
    corners = [x, y, x + side, y, x + side, y + side, x, y + side]
    return {"bbox": [x, y, side, side], "segmentation": [corners], "category_id": 1, **more}


@pytest.fixture
def file(tmp_path) -> AnnotationFile:
    """A white square on black, beside a small one and a crowd; a gray image with a box without mask."""
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[16:48, 16:48] = 255
    Image.fromarray(pixels).save(tmp_path / "0.png")
    Image.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / "1.png")
    annotations = [
        square(16, 16, 32, image_id=0),
        square(50, 50, 8, image_id=0),
        square(0, 0, 64, image_id=0, iscrowd=1, segmentation={"size": [64, 64], "counts": [0, 64 * 64]}),
        {"bbox": [8, 8, 32, 32], "category_id": 1, "image_id": 1},
    ]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 64, "width": 64} for i in range(2)],
        "annotations": [{"id": i} | annotation for i, annotation in enumerate(annotations)],
        "categories": [{"id": 1, "name": "thing"}],
    }
    return AnnotationFile.from_content(content, path=tmp_path / "instances.json", image_folder=tmp_path)


def test_only_objects_with_a_mask_that_are_large_enough_count(file):
    found = measure([file], Sizes(64, 64, smallest=16.0))
    assert found.per_image == [1]
    assert found.outlines.size == pytest.approx([0.5])
    assert measure([file], Sizes(64, 64, smallest=4.0)).per_image == [2]
    assert measure([file], Sizes(128, 128, smallest=16.0)).per_image == [2]  # twice as large in the view


def test_files_are_measured_together(file):
    one, two = measure([file], Sizes(64, 64)), measure([file, file], Sizes(64, 64))
    assert two.per_image == [1, 1]
    assert two.edges.edges == 2 * one.edges.edges
    assert two.edges.kept_pure == tuple(2 * count for count in one.edges.kept_pure)
    assert statistics(two) == pytest.approx(statistics(one), nan_ok=True)


def test_a_white_square_on_black_by_hand(file):
    found = statistics(measure([file], Sizes(64, 64)))
    assert found["objects an image, mean"] == 1
    assert found["images with one object, %"] == 100
    assert found["size, 50 %"] == pytest.approx(0.5)
    assert found["box fill, mean"] == pytest.approx(1)
    assert found["box fill, side 0.4 to 1"] == pytest.approx(1)
    assert np.isnan(found["box fill, side 0 to 0.2"])  # there is none
    assert found["contrast, 50 %"] == pytest.approx(100, abs=0.01)
    assert found["color modes, mean"] == 1
    # 9 x 9 cells of the box mask (an integer side has one cell more), of which 8 x 8 are white. Edges two cells long:
    # those within the square are kept, and so are those within the ground around it; all others cross the border.
    assert found["purity, τ = 0.3, %"] == 100
    assert found["border edges kept, τ = 0.1, %"] == 0
    assert found["border edges kept, τ = 0, %"] == 100
    assert 0 < found["edges kept, τ = 0.1, %"] < 100


def test_a_set_without_masks_cannot_be_measured(file):
    with pytest.raises(ValueError, match="no instance has a mask"):
        measure([file], Sizes(64, 64, smallest=60.0))
