import base64
import io

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from core.datasets.convert.labelme import read
from tests.core.datasets.convert.conftest import boxes


def shape(kind: str, points: list, label: str = "cell", **more) -> dict:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}} | more


def labels(*shapes: dict, **more) -> dict:
    content = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    return content | {"imageHeight": 24, "imageWidth": 40} | more


def png(mask: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_rectangles_have_two_corners_in_any_order(folder):
    found = read(folder({"a.json": labels(shape("rectangle", [[20.5, 8], [4, 16.25]]))}))
    assert boxes(found) == {"a.png": [("cell", 4, 8, 20.5, 16.25)]}
    assert found.images[0].objects[0].segmentation is None


def test_a_turned_rectangle_is_the_box_around_it(folder):
    found = read(folder({"a.json": labels(shape("rectangle", [[10, 4], [14, 8], [10, 12], [6, 8]]))}))
    assert boxes(found) == {"a.png": [("cell", 6, 4, 14, 12)]}
    assert found.images[0].objects[0].segmentation is None


def test_a_circle_is_its_middle_and_a_point_on_it(folder):
    found = read(folder({"a.json": labels(shape("circle", [[10, 10], [13, 14]]))}))  # radius 5
    assert boxes(found) == {"a.png": [("cell", 5, 5, 15, 15)]}


def test_polygons_are_masks_and_those_of_a_group_one_object(folder):
    one, other = [[0, 0], [4, 0], [4, 4]], [[10, 10], [14, 10], [14, 12]]
    content = labels(shape("polygon", one, group_id=1), shape("polygon", other, group_id=1), shape("polygon", one))
    found = read(folder({"a.json": content}))
    together, alone = found.images[0].objects
    assert together.segmentation == [[0, 0, 4, 0, 4, 4], [10, 10, 14, 10, 14, 12]]
    assert together.box == (0, 0, 14, 12)
    assert alone.box == (0, 0, 4, 4)
    assert found.notes == {"groups of shapes are one object each": 1}


def test_a_mask_lies_between_its_first_and_its_last_pixel(folder):
    mask = np.array([[True, False, True], [False, True, False]])
    found = read(folder({"a.json": labels(shape("mask", [[5, 7], [7, 8]], mask=png(mask)))}))
    (one,) = found.images[0].objects
    expected = np.zeros((24, 40))
    expected[7:9, 5:8] = mask
    np.testing.assert_array_equal(coco_mask.decode(one.segmentation), expected)
    assert one.box == (5, 7, 8, 9)


def test_masks_and_polygons_of_a_group_are_united(folder):
    square = shape("polygon", [[0, 0], [4, 0], [4, 4], [0, 4]], group_id=3)
    mask = shape("mask", [[10, 10], [10, 11]], mask=png(np.ones((2, 1), dtype=bool)), group_id=3)
    (one,) = read(folder({"a.json": labels(square, mask)})).images[0].objects
    assert coco_mask.area(one.segmentation) == 16 + 2
    assert one.box == (0, 0, 11, 12)


def test_marked_objects_are_crowds_and_shapes_without_area_are_counted(folder):
    square = [[0, 0], [4, 4]]
    content = labels(
        shape("rectangle", square, flags={"crowd": True}),
        shape("rectangle", square, difficult=True),
        shape("rectangle", square, flags={"crowd": False}),
        shape("point", [[1, 1]]),
        shape("rectangle", square, label="__ignore__"),
        shape("rectangle", [[3, 3], [3, 9]]),
    )
    found = read(folder({"a.json": content}))
    assert [one.crowd for one in found.images[0].objects] == [True, True, False]
    assert found.notes == {
        "shapes of type 'point' are left out": 1,
        "shapes of labelme's own labels, such as __ignore__, are left out": 1,
        "objects of width or height 0 are left out": 1,
    }


def test_images_are_found_by_the_path_that_the_tool_wrote(folder):
    images = ("train/images/a.png", "val/images/a.png")
    for path in ("..\\images\\a.png", "C:\\x\\{}\\images\\a.png", "/data/{}/images/a.png"):
        content = {f"{one}/json/a.json": labels(imagePath=path.format(one)) for one in ("train", "val")}
        assert [(str(image.path), image.split) for image in read(folder(content, images)).images] == [
            ("train/images/a.png", "train"),
            ("val/images/a.png", "val"),
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"shapes": []}, "expected an object with `shapes` and `imagePath`"),
        (labels(imagePath="b.png", imageWidth=41), "labels are for 41 x 24 pixels, but a.png has 40 x 24"),
        (labels("none"), "shape 0: is 'none', expected an object"),
        (labels(shape("polygon", [[0, 0], [4, 4]])), "shape 0: polygon has 2 points, expected at least 3"),
        (
            labels(shape("polygon", [[0, 0], [4, 4], [1, "2"]])),
            "shape 0: points are .* expected pairs of finite numbers",
        ),
        (labels(shape("rectangle", [[0, 0]])), "shape 0: rectangle has 1 points, expected 2"),
        (labels(shape("rectangle", [[41, 0], [50, 9]])), "shape 0: box .*, outside the image of 40 x 24 pixels"),
        (labels(shape("rectangle", [[0, 0], [4, 4]], label=None)), "shape 0: class is None, expected a text"),
        (
            labels(shape("rectangle", [[0, 0], [4, 4]], group_id=[1])),
            r"shape 0: group_id is \[1\], expected an integer",
        ),
        (labels(shape("mask", [[0, 0], [4, 4]], mask="!")), "shape 0: mask cannot be read as a PNG image in base64"),
        (labels(shape("mask", [[0, 0], [4, 4]])), "shape 0: mask cannot be read as a PNG image in base64"),
        (
            labels(shape("mask", [[0, 0], [4, 4]], mask=png(np.ones((2, 3), dtype=bool)))),
            "shape 0: mask has 3 x 2 pixels, its points 5 x 5",
        ),
        (
            labels(shape("mask", [[39, 0], [40, 0]], mask=png(np.ones((1, 2), dtype=bool)))),
            r"shape 0: mask reaches from \(39, 0\) to \(41, 1\), outside the image",
        ),
    ],
)
def test_what_is_wrong_is_named(folder, content, message):
    given = folder({"a.json": content})
    with pytest.raises(ValueError, match=rf"given/a\.json(:|,) {message}"):
        read(given)


def test_no_file_at_all(folder):
    with pytest.raises(ValueError, match="found no JSON file"):
        read(folder({}))
