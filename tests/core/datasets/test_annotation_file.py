import json

import pytest

from core.datasets.annotation_file import read_annotation_file
from tests.core.datasets.conftest import HEIGHT, WIDTH, annotation


def read(root):
    return read_annotation_file(root / "instances_train.json", root / "train")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"category_id": 5}, "category_id is 5, expected one of 3, 9"),
        ({"image_id": 99}, "annotation 1 (image 99): no such image"),
        ({"image_id": [7]}, "annotation 1 (image [7]): image_id is [7], expected an integer"),
        ({"image_id": "7"}, "annotation 1 (image 7): image_id is '7', expected an integer"),
        ({"category_id": [3]}, "annotation 1 (image 7): category_id is [3], expected an integer"),
        ({"category_id": None}, "annotation 1 (image 7): category_id is None, expected an integer"),
        ({"bbox": [0, 0, float("nan"), 4]}, "bbox is [0, 0, nan, 4], expected four finite numbers"),
        ({"bbox": [0, 0, 4]}, "bbox is [0, 0, 4], expected four finite numbers"),
        ({"bbox": None}, "bbox is None, expected four finite numbers"),
        ({"bbox": [8, 8, -4, 4]}, "bbox is [8, 8, -4, 4], expected a width and a height above 0"),
        ({"bbox": [40, 0, 4, 4]}, "bbox is [40, 0, 4, 4], outside the image of 40 x 24 pixels"),
        ({"bbox": [-9, 0, 9, 4]}, "bbox is [-9, 0, 9, 4], outside the image of 40 x 24 pixels"),
    ],
)
def test_an_annotation_that_makes_no_sense_is_named_with_file_and_id(write, fields, message):
    file = read(write([annotation(**fields)]))
    assert len(file.problems) == 1
    assert message in file.problems[0]
    with pytest.raises(ValueError, match=r"instances_train.json: 1 problem.*\n  annotation 1 \(image"):
        file.raise_problems()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"file_name": "gone.png"}, "image 7: no file "),
        ({"file_name": "../7.png"}, "image 7: file_name is '../7.png', expected a path inside the image folder"),
        ({"file_name": "/etc/passwd"}, "image 7: file_name is '/etc/passwd', expected a path inside"),
        ({"file_name": 5}, "image 7: file_name is 5, expected a string"),
        ({"file_name": ["7.png"]}, "image 7: file_name is ['7.png'], expected a string"),
        ({"width": None}, "image 7 (7.png): width and height are None x 24"),
        ({"height": 0}, "image 7 (7.png): width and height are 40 x 0"),
    ],
)
def test_an_image_that_makes_no_sense_is_named(write, fields, message):
    image = {"id": 7, "file_name": "7.png", "width": WIDTH, "height": HEIGHT} | fields
    problems = read(write([annotation()], images=[image])).problems
    assert len(problems) == 1
    assert problems[0].startswith(message)


def test_duplicate_ids_are_named(write):
    categories = [{"id": 3, "name": "dog"}, {"id": 3, "name": "cat"}]
    file = read(write([annotation(5), annotation(5)], categories=categories))
    assert file.problems == [
        "categories: id 3 stands 2 times, expected once",
        "annotations: id 5 stands 2 times, expected once",
    ]


def test_five_problems_are_shown_and_the_rest_counted(write):
    file = read(write([annotation(i, category_id=5) for i in range(8)]))
    with pytest.raises(ValueError, match=r"8 problem\(s\)") as error:
        file.raise_problems()
    lines = str(error.value).splitlines()
    assert len(lines) == 1 + 5 + 1
    assert lines[-1].strip() == "... and 3 more"


def test_a_box_that_hangs_over_the_edge_is_clipped(write):
    (record,) = read(write([annotation(bbox=[-2, 20, 10, 10])])).images
    assert record.boxes.tolist() == [[0, 20, 8, 24]]


def test_whole_numbers_may_be_written_with_a_point(write):
    file = read(write([annotation(image_id=7.0, category_id=9.0)]))
    assert file.problems == []
    assert file.images[0].labels.tolist() == [1]


def test_images_are_sorted_by_id(write):
    root = write([annotation(1, 9), annotation(2, 7)], image_ids=(9, 7))
    assert [record.image_id for record in read(root).images] == [7, 9]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a list of objects under 'categories'"),
        ('{"categories": [], "images": []}', "expected a list of objects under 'annotations'"),
        ('{"categories": [{"id": 1}], "images": [], "annotations": []}', "an entry of 'categories' has no 'name'"),
        ('{"categories": [], "images": [{"id": "a", "file_name": ""}], "annotations": []}', "images: id is 'a'"),
    ],
)
def test_a_file_in_another_format_is_refused(write, content, message):
    root = write([])
    (root / "instances_train.json").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read(root)
    assert str(root / "instances_train.json") in str(error.value)


def test_missing_files_and_folders_are_named(write, tmp_path):
    with pytest.raises(ValueError, match=r"instances_train.json: cannot be read \(No such file or directory\)"):
        read(tmp_path)
    (tmp_path / "instances_train.json").write_text(json.dumps({"categories": [], "images": [], "annotations": []}))
    with pytest.raises(ValueError, match="train: no such folder"):
        read(tmp_path)
