import hashlib
import json
from pathlib import Path

import pytest

from core.datasets.annotation_file import AnnotationFile
from tests.core.datasets.conftest import HEIGHT, RECTANGLE, WIDTH, annotation


def read(root):
    return AnnotationFile.read(root / "instances_train.json", root / "train")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"category_id": 5}, "category_id is 5, expected one of 3, 9"),
        ({"image_id": 99}, "annotation 1 (image 99): no such image"),
        ({"image_id": [7]}, "annotation 1 (image [7]): image_id is [7], expected an integer"),
        ({"image_id": "7"}, "annotation 1 (image '7'): image_id is '7', expected an integer"),
        ({"category_id": [3]}, "annotation 1 (image 7): category_id is [3], expected an integer"),
        ({"category_id": None}, "annotation 1 (image 7): category_id is None, expected an integer"),
        ({"bbox": [0, 0, float("nan"), 4]}, "bbox is [0, 0, nan, 4], expected four finite numbers"),
        ({"bbox": [0, 0, 4]}, "bbox is [0, 0, 4], expected four finite numbers"),
        ({"bbox": None}, "bbox is None, expected four finite numbers"),
        ({"bbox": [8, 8, -4, 4]}, "bbox is [8, 8, -4, 4], expected a width and a height above 0"),
        ({"bbox": [40, 0, 4, 4]}, "bbox is [40, 0, 4, 4], outside the image of 40 x 24 pixels"),
        ({"bbox": [-9, 0, 9, 4]}, "bbox is [-9, 0, 9, 4], outside the image of 40 x 24 pixels"),
        ({"bbox": [0, 24, 4, 4]}, "bbox is [0, 24, 4, 4], outside the image of 40 x 24 pixels"),
        ({"bbox": [0, -9, 4, 9]}, "bbox is [0, -9, 4, 9], outside the image of 40 x 24 pixels"),
        ({"bbox": [0, 0, 81, 4]}, "bbox is [0, 0, 81, 4], expected at most 40 x 24 pixels beyond the image of 40 x 24"),
        ({"bbox": [0, 2e9, 5, 0]}, "expected at most 40 x 24 pixels beyond the image"),  # without area, and far away
        ({"bbox": [0, 0, 10**400, 4]}, "expected four finite numbers"),
        ({"bbox": [True, 0, 4, 4]}, "bbox is [True, 0, 4, 4], expected four finite numbers"),
        ({"image_id": True}, "annotation 1 (image True): image_id is True, expected an integer"),
        ({"category_id": 10**400}, "category_id is 1000"),
        ({"category_id": float("nan")}, "category_id is nan, expected one of 3, 9"),
        ({"iscrowd": None}, "iscrowd is None, expected 0 or 1, or no such key"),
        ({"iscrowd": "0"}, "iscrowd is '0', expected 0 or 1"),
        ({"iscrowd": 2}, "iscrowd is 2, expected 0 or 1"),
        ({"iscrowd": [0]}, "iscrowd is [0], expected 0 or 1"),
        ({"ignore": "difficult"}, "ignore is 'difficult', expected 0 or 1, or no such key"),
        ({"bbox": [0.1, 0.2, 0.5, 0.5]}, "all 1 boxes lie in 0..1, such as bbox [0.1, 0.2, 0.5, 0.5]: normalized?"),
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
        "categories: id 3 appears 2 times, expected once",
        "annotations: id 5 appears 2 times, expected once",
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
        (
            '{"categories": [], "images": [{"id": 1.0, "file_name": ""}], "annotations": []}',
            "images: id is 1.0, expected",
        ),
        (
            '{"categories": [], "images": [], "annotations": [{"id": true}]}',
            "annotations: id is True, expected an integer",
        ),
        (
            '{"categories": [{"id": 9223372036854775808, "name": "a"}], "images": [], "annotations": []}',
            "categories: id is",
        ),
        ('{"categories": [], "images": [], "annotations": [{"id": 18446744073709551616}]}', "to 18446744073709551615"),
        ('{"categories": 5, "images": [], "annotations": []}', "expected a list of objects under 'categories'"),
    ],
)
def test_a_file_in_another_format_is_refused(write, content, message):
    root = write([])
    (root / "instances_train.json").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read(root)
    assert str(root / "instances_train.json") in str(error.value)


def test_content_from_memory_is_the_file_that_would_hold_it(write):
    root = write([annotation(1, segmentation=RECTANGLE), annotation(2, category_id=5)])
    path, folder = root / "instances_train.json", root / "train"
    found = AnnotationFile.from_content(json.loads(path.read_text()), path=path, image_folder=folder)
    assert repr(found) == repr(read(root))  # the test writes files as `json.dumps` does: fingerprints are equal, too
    assert found.content == json.loads(path.read_text())
    with pytest.raises(ValueError, match=r"a list in memory: expected a list of objects under 'categories'"):
        AnnotationFile.from_content({}, path=Path("a list in memory"), image_folder=folder)


def test_the_fingerprint_is_that_of_the_bytes(write):
    root = write([annotation()])
    path = root / "instances_train.json"
    assert read(root).fingerprint == hashlib.sha256(path.read_bytes()).digest()
    before = read(root).fingerprint
    path.write_text(path.read_text() + "\n")  # the same content
    assert read(root).fingerprint != before


def test_a_list_of_images_needs_no_annotations_and_gets_none(write):
    root = write([annotation(bbox="none")])
    path = root / "instances_train.json"
    assert AnnotationFile.read(path, root / "train", annotated=False).problems == []
    content = json.loads(path.read_text())
    del content["annotations"]
    path.write_text(json.dumps(content))
    file = AnnotationFile.read(path, root / "train", annotated=False)
    assert (file.content["annotations"], file.categories, len(file.images)) == ([], ["dog", "cat"], 1)
    with pytest.raises(ValueError, match="a list of objects under 'annotations', as in COCO's instances files"):
        read(root)
    path.write_text(json.dumps({"images": []}))
    with pytest.raises(ValueError, match="a list of objects under 'categories', as in COCO's image_info files"):
        AnnotationFile.read(path, root / "train", annotated=False)


def test_missing_images_are_listed(write):
    root = write([annotation()], image_ids=(7, 8, 9))
    for name in ("7.png", "9.png"):
        (root / "train" / name).unlink()
    assert read(root).missing_images == ["7.png", "9.png"]
    assert len(read(root).images) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [5, 6]}}, "covers 11 pixels, expected 960"),
        ({"segmentation": {"size": [9, 9], "counts": [81]}}, r"has size \[9, 9\], expected \[24, 40\]"),
        (
            {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "\u00e4"}},
            "has counts '\u00e4', expected a list of integers",
        ),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [1000, -40]}}, "has a run of -40 pixels"),
        ({"segmentation": "mask"}, "segmentation is 'mask', expected polygons"),
        ({"area": None}, "area is None, expected a number of at least 0"),
        ({"area": float("nan")}, "area is nan, expected a number of at least 0"),
    ],
)
def test_a_crowd_that_pycocotools_cannot_read_is_named_by_the_check_for_evaluation(write, fields, message):
    file = read(write([annotation(1), annotation(2, **{"iscrowd": 1} | fields)]))
    assert file.problems == []  # a training does not look at it
    with pytest.raises(
        ValueError, match=rf"instances_train\.json: 1 problem.*\n  annotation 2 \(image 7\): .*{message}"
    ):
        file.check_for_evaluation()


def test_what_a_file_leaves_out_does_not_hinder_the_evaluation(write):
    boxes_only = annotation(2)
    del boxes_only["area"], boxes_only["iscrowd"]
    crowd = annotation(3, iscrowd=1, segmentation={"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]})
    read(write([annotation(1, segmentation=RECTANGLE), boxes_only, crowd])).check_for_evaluation()


def test_the_check_for_evaluation_names_what_is_wrong_with_the_file_first(write):
    file = read(write([annotation(1, image_id=99, area=None)]))
    with pytest.raises(ValueError, match=r"1 problem\(s\)\n  annotation 1 \(image 99\): no such image"):
        file.check_for_evaluation()


def test_a_training_without_a_box_is_told_what_was_left_out(write):
    assert read(write([annotation()])).nothing_to_learn() is None
    assert read(write([])).nothing_to_learn() == "1 images, none of them with a box to learn from"
    crowds = [annotation(1, iscrowd=1), annotation(2, ignore=1), annotation(3, bbox=[1, 1, 0, 4])]
    assert read(write(crowds)).nothing_to_learn() == (
        "1 images, none of them with a box to learn from: 2 crowds (iscrowd or ignore 1) and 1 boxes of width or "
        "height 0 are left out; expected neither for single objects"
    )


def test_masks_without_a_pixel_are_problems_unless_they_are_few(write):
    beside, sound = [[50, 30, 70, 30, 70, 40]], annotation(1, segmentation=RECTANGLE)
    file = read(write([sound, annotation(2, segmentation=beside)]))
    expected = "annotation 2 (image 7): mask has no pixel, but its box is 16 x 8 pixels"
    assert file.mask_problems(file.images) == [expected]
    file = read(write([sound | {"id": i} for i in range(2, 101)] + [annotation(1, segmentation=beside)]))
    assert file.mask_problems(file.images) == []  # 1 of 100: COCO has some, too
    file = read(write([sound, annotation(2, segmentation=[[1.2, 2.2, 1.3, 2.2, 1.3, 2.3]], bbox=[1, 2, 1, 1])]))
    assert file.mask_problems(file.images) == []  # as small as its box
    file = read(write([annotation(1, segmentation=beside), annotation(2, segmentation="none")]))
    assert file.mask_problems(file.images) == [
        "annotation 2 (image 7): segmentation is 'none', expected polygons or a run-length encoding"
    ]


def test_missing_files_and_folders_are_named(write, tmp_path):
    with pytest.raises(ValueError, match=r"instances_train.json: cannot be read \(No such file or directory\)"):
        read(tmp_path)
    (tmp_path / "instances_train.json").write_text(json.dumps({"categories": [], "images": [], "annotations": []}))
    with pytest.raises(ValueError, match="train: no such folder"):
        read(tmp_path)
