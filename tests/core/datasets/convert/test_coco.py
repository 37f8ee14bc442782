import pytest

from core.datasets.convert.coco import read
from tests.core.datasets.convert.conftest import boxes

WHOLE = {"size": [24, 40], "counts": [0, 960]}


def annotation(annotation_id=1, **more) -> dict:
    return {"id": annotation_id, "image_id": 3, "category_id": 2, "bbox": [4, 8, 16, 8], "iscrowd": 0} | more


def labels(*annotations: dict, name="a.png", **more) -> dict:
    content = {
        "images": [{"id": 3, "file_name": name, "width": 40, "height": 24}],
        "annotations": list(annotations),
        "categories": [{"id": 2, "name": "ant"}, {"id": 1, "name": "bee"}],
    }
    return content | more


def test_boxes_and_masks_are_kept_and_classes_ordered_by_id(folder):
    polygons = [[4, 8, 20, 8, 20, 16], [5, 5]]  # the second has no area
    found = read(folder({"instances.json": labels(annotation(segmentation=polygons), annotation(2, segmentation=[]))}))
    assert found.classes == ["bee", "ant"]
    assert boxes(found) == {"a.png": [("ant", 4, 8, 20, 16)] * 2}
    assert [one.segmentation for one in found.images[0].objects] == [polygons[:1], None]


def test_crowds_stay_crowds_but_for_masks_of_cvat(folder):
    cvat = {"occluded": False}
    given = (
        annotation(1, iscrowd=1, segmentation=WHOLE),
        annotation(2, iscrowd=1, segmentation=WHOLE, attributes=cvat),
        annotation(3, iscrowd=1, segmentation=WHOLE, attributes=cvat | {"is_crowd": True}),
        annotation(4, iscrowd=1, attributes=cvat),
        annotation(6, ignore=1),
        annotation(7, iscrowd=1, ignore=1, segmentation=WHOLE, attributes=cvat),
        annotation(5, attributes={"difficult": "true"}),
    )
    found = read(folder({"instances_default.json": labels(*given)}))
    assert [one.crowd for one in found.images[0].objects] == [True, False, True, True, True, True, True]
    assert found.notes == {"masks that CVAT marks as crowds are single objects": 1}


def test_the_split_is_in_the_name_or_the_folder_of_the_file(folder):
    files = {
        "annotations/instances_train2017.json": labels(name="a.png"),
        "annotations/instances_val2017.json": labels(name="b.png"),
        "test/_annotations.coco.json": labels(name="c.png"),
        "rest/_annotations.coco.json": labels(name="d.png"),
    }
    found = read(folder(files, ("images/a.png", "images/b.png", "test/c.png", "rest/d.png")))
    assert {image.path.name: image.split for image in found.images} == {
        "a.png": "train",
        "b.png": "val",
        "c.png": "test",
        "d.png": None,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": []}, "expected a list of objects under 'categories'"),
        (labels(annotation(bbox=[4, 8, 16])), r"annotation 1 \(image 3\): bbox is \[4, 8, 16\], expected four"),
        (labels(annotation(bbox=[44, 8, 16, 8])), r"annotation 1 \(image 3\): bbox is .* outside the image"),
        (labels(annotation(), annotation()), "annotations: id 1 appears 2 times"),
        (labels(annotation(category_id=3)), r"annotation 1 \(image 3\): category_id is 3, expected one of 1, 2"),
        (labels(annotation(segmentation="x")), r"annotation 1 \(image 3\): segmentation is 'x'"),
        (labels(categories=[{"id": 1, "name": ["a"]}]), r"categories: id 1: name is \['a'\], expected a text"),
        (labels(name="../b.png"), "image 3: image '../b.png' is not in"),
        (labels(images=[{"id": 3, "file_name": "a.png", "width": 4, "height": 4}]), "image 3: labels are for 4 x 4"),
    ],
)
def test_what_is_wrong_is_named(folder, content, message):
    given = folder({"instances.json": content})
    with pytest.raises(ValueError, match=rf"given/instances\.json: {message}"):
        read(given)


def test_two_files_must_have_the_same_classes(folder):
    other = labels(name="b.png", categories=[{"id": 1, "name": "bee"}])
    with pytest.raises(ValueError, match=r"b\.json: categories are \['bee'\], expected those of the other file"):
        read(folder({"a.json": labels(), "b.json": other}, ("a.png", "b.png")))


def test_no_file_at_all(folder):
    with pytest.raises(ValueError, match="found no image in a JSON file"):
        read(folder({}))
