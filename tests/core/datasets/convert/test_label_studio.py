import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.datasets.convert.label_studio import read
from tests.core.datasets.convert.conftest import boxes
from tests.core.datasets.convert.test_brush import packed


def region(kind: str, label: str = "cell", **value) -> dict:
    sizes = {"original_width": 40, "original_height": 24, "image_rotation": 0}
    return {
        "id": "r1",
        "type": kind,
        "value": value | {kind: [label]},
        "from_name": "label",
        "to_name": "image",
    } | sizes


def rectangle(x=10, y=25, width=40, height=50, **more) -> dict:
    return region("rectanglelabels", x=x, y=y, width=width, height=height, **{"rotation": 0} | more)


def task(*regions: dict, image="/data/upload/1/0a1b2c3d-a.png", **more) -> dict:
    annotations = [{"id": 5, "result": list(regions), "was_cancelled": False, "ground_truth": False}]
    return {"id": 7, "data": {"image": image, "note": "of May"}, "annotations": annotations, "predictions": [{}]} | more


TWO_LABELS = rectangle() | {"value": rectangle()["value"] | {"rectanglelabels": ["a", "b"]}}


def test_boxes_are_percent(folder):
    # 10 % of 40, 25 % of 24, 40 % of 40, 50 % of 24: x 4, y 6, 16 x 12
    found = read(folder({"export.json": [task(rectangle())]}))
    assert boxes(found) == {"a.png": [("cell", 4, 6, 20, 18)]}
    assert found.classes == ["cell"]
    assert not found.notes


def test_a_box_is_turned_about_its_top_left_corner(folder):
    # at (20, 6), 10 x 4, turned clockwise by 90 degrees: to the left and down
    found = read(folder({"export.json": [task(rectangle(50, 25, 25, 100 / 6, rotation=90))]}))
    assert boxes(found) == {"a.png": [("cell", 16, 6, 20, 16)]}
    assert found.images[0].objects[0].segmentation is None


def test_polygons_ellipses_and_brushes(folder):
    runs = [(4 * 41, 0), (4 * 2, 255), (4 * (960 - 43), 0)]  # the pixels 41 and 42: row 1, columns 1 and 2
    blocks = ["1" + "11" + f"{length - 1:016b}" + f"{value:08b}" for length, value in runs]
    shapes = (
        region("polygonlabels", "b", points=[[10, 25], [50, 25], [50, 75]], closed=True),
        region("ellipselabels", "a", x=50, y=50, radiusX=10, radiusY=25, rotation=0),
        region("brushlabels", "c", format="rle", rle=packed(3840, *blocks)),
        region("choices"),
    )
    found = read(folder({"export.json": [task(*shapes)]}))
    assert boxes(found) == {"a.png": [("b", 4, 6, 20, 18), ("a", 16, 6, 24, 18), ("c", 1, 1, 3, 2)]}
    polygon, ellipse, brush = found.images[0].objects
    assert polygon.segmentation == [[4, 6, 20, 6, 20, 18]]
    assert ellipse.segmentation is None
    assert np.argwhere(coco_mask.decode(brush.segmentation)).tolist() == [[1, 1], [1, 2]]
    assert found.classes == ["a", "b", "c"]
    assert found.notes["regions of type 'choices' are left out"] == 1


def test_the_short_export_has_regions_under_the_names_of_tags(folder):
    box = rectangle()
    short = box["value"] | {"original_width": 40, "original_height": 24}
    tasks = [
        {"id": 1, "image": "s3://bucket/photos/a.png", "label": [short], "annotation_id": 3, "tags": ["sunny"]},
        {"id": 2, "image": "s3://bucket/photos/b.png", "annotation_id": 4},
        {"id": 3, "image": "s3://bucket/photos/c.png"},
    ]
    found = read(folder({"export.json": tasks}, ("a.png", "b.png", "c.png")))
    assert boxes(found) == {"a.png": [("cell", 4, 6, 20, 18)], "b.png": []}
    assert found.notes == {"tasks have no annotation and are left out": 1}


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=photos/a.png",
        "https://example.org/photos/a.png?signature=1",
        "/data/upload/3/00000000-a.png",
        "photos%2Fa.png",
    ],
)
def test_images_are_found_by_any_address(folder, address):
    assert list(boxes(read(folder({"export.json": [task(image=address)]}, ("photos/a.png", "photos/b.png"))))) == [
        "photos/a.png"
    ]


def test_one_annotation_of_each_task_is_read(folder):
    first, second = (
        {"result": [region("rectanglelabels", label, x=0, y=0, width=9, height=9)]} for label in ("a", "b")
    )
    cases = (
        ([first, second], ["a"]),
        ([first | {"was_cancelled": True}, second], ["b"]),
        ([first, second | {"ground_truth": True}], ["b"]),
    )
    for annotations, expected in cases:
        found = read(folder({"export.json": [task(annotations=annotations)]}))
        assert [one.class_name for one in found.images[0].objects] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": []}, "expected a list of tasks"),
        ([task(image="photo")], "task 7: 0 of its texts name an image, expected 1"),
        ([task(image="b.png")], "task 7: image 'b.png' is not in"),
        ([task(annotations=3)], "task 7: annotations are 3, expected a list of objects"),
        ([task(annotations=[{}])], "task 7: result is None, expected a list of objects"),
        (
            [task(rectangle() | {"original_width": [40]})],
            r"task 7: original_width and original_height are \[\(\[40\], 24\)\]",
        ),
        ([task(rectangle() | {"original_width": 80})], "task 7: labels are for 80 x 24 pixels, but a.png has 40 x 24"),
        ([task(rectangle() | {"image_rotation": 90})], "task 7, region 'r1': image_rotation is 90"),
        ([task(rectangle() | {"value": None})], "task 7, region 'r1': value is None, expected an object"),
        ([task(TWO_LABELS)], r"task 7, region 'r1': rectanglelabels are \['a', 'b'\], expected one label"),
        ([task(rectangle(x="1"))], "task 7, region 'r1': x, y, width, height and rotation are .* expected numbers"),
        ([task(rectangle(x=120))], "task 7, region 'r1': box .*, outside the image of 40 x 24 pixels"),
        ([task(region("polygonlabels", points=[[1, 2, 3]]))], "task 7, region 'r1': points are .* pairs of numbers"),
        ([task(region("brushlabels"))], "task 7, region 'r1': rle is None, expected a list of bytes"),
    ],
)
def test_what_is_wrong_is_named(folder, content, message):
    given = folder({"export.json": content})
    with pytest.raises(ValueError, match=rf"given/export\.json(:|,) {message}"):
        read(given)


def test_nothing_annotated_at_all(folder):
    with pytest.raises(ValueError, match="found no annotated task"):
        read(folder({"export.json": [task(annotations=[])]}))
