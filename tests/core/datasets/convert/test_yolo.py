import pytest

from core.datasets.convert.yolo import evidence, read
from tests.core.datasets.convert.conftest import boxes

NAMES = "names: [cat, dog]\n"


def test_a_box_is_its_middle_and_its_sides_as_fractions(folder):
    # x: 0.3 * 40 = 12, half of 0.4 * 40 = 16 is 8: 4 to 20. y: 0.5 * 24 = 12, half of 0.25 * 24 = 6 is 3: 9 to 15.
    found = read(folder({"data.yaml": NAMES, "a.txt": "1 0.3 0.5 0.4 0.25\n\n"}))
    assert found.classes == ["cat", "dog"]
    assert boxes(found) == {"a.png": [("dog", 4, 9, 20, 15)]}
    assert found.images[0].objects[0].segmentation is None


def test_a_polygon_is_a_mask_and_its_extent(folder):
    found = read(folder({"data.yaml": NAMES, "a.txt": "0 0.1 0.25 0.5 0.25 0.5 0.75"}))
    (one,) = found.images[0].objects
    assert one.segmentation == [[4, 6, 20, 6, 20, 18]]
    assert one.box == (4, 6, 20, 18)
    assert not found.notes


def test_four_corners_everywhere_may_be_oriented_boxes(folder):
    found = read(folder({"data.yaml": NAMES, "a.txt": "0 0.1 0.25 0.5 0.25 0.5 0.75 0.1 0.75"}))
    assert [note for note in found.notes if "oriented boxes" in note]


def test_labels_are_in_the_folder_labels_for_the_folder_images(folder):
    images = ("train/images/a.png", "valid/images/a.png", "valid/images/b.png")
    labels = {"train/labels/a.txt": "0 0.5 0.5 1 1", "valid/labels/a.txt": "1 0.5 0.5 1 1"}
    roboflow = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [cat, dog]"
    found = read(folder({"data.yaml": roboflow, "README.roboflow.txt": "0 1"} | labels, images))
    assert boxes(found) == {
        "train/images/a.png": [("cat", 0, 0, 40, 24)],
        "valid/images/a.png": [("dog", 0, 0, 40, 24)],
        "valid/images/b.png": [],
    }
    assert [image.split for image in found.images] == ["train", "val", "val"]
    assert not found.notes


def test_names_may_be_a_mapping_and_splits_lists(folder):
    config = "path: /data/cats\ntrain: train.txt\nval: lists/val.txt\nnames: {1: dog, 0: cat}"
    files = {"data.yaml": config, "train.txt": "./images/a.png\n", "lists/val.txt": "images/b.png", "labels/a.txt": ""}
    found = read(folder(files, ("images/a.png", "images/b.png")))
    assert found.classes == ["cat", "dog"]
    assert [image.split for image in found.images] == ["train", "val"]


def test_darknet_names_its_files_in_obj_data(folder):
    files = {
        "obj.data": "classes = 2\nnames = data/obj.names\ntrain = data/train.txt\nvalid = data/valid.txt",
        "obj.names": "cat\ndog\n\n",
        "train.txt": "data/obj_train_data/a.png",
        "valid.txt": "data/obj_valid_data/b.png",
        "obj_train_data/a.txt": "1 0.5 0.5 1 1",
        "obj_valid_data/b.txt": "",
    }
    found = read(folder(files, ("obj_train_data/a.png", "obj_valid_data/b.png")))
    assert found.classes == ["cat", "dog"]
    assert [(str(image.path), image.split) for image in found.images] == [
        ("obj_train_data/a.png", "train"),
        ("obj_valid_data/b.png", "val"),
    ]


def test_images_to_validate_on_that_are_trained_on_stay_with_the_training(folder):
    given = folder({"data.yaml": "train: .\nval: .\n" + NAMES, "a.txt": ""})
    found = read(given)
    assert found.images[0].split == "train"
    assert found.notes == {"images of val are also in train, and kept there alone": 1}


def test_a_single_text_of_this_name_is_found_wherever_the_folder_labels_is(folder):
    files = {"yolo/labels/a.txt": "0 0.5 0.5 1 1", "yolo/labels/old.txt": "", "classes.txt": "cat"}
    found = read(folder(files, ("photos/a.png",)))
    assert boxes(found) == {"photos/a.png": [("cat", 0, 0, 40, 24)]}
    assert found.notes == {
        "text files have no image of their name and are left out, such as yolo/labels/old.txt": 1,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 1 1", "class is '2', expected one of 0 to 1"),
        ("-1 0.5 0.5 1 1", "class is '-1', expected one of 0 to 1"),
        ("cat 0.5 0.5 1 1", "class is 'cat', expected one of 0 to 1"),
        ("0 0.5 0.5 1", r"has 4 values, expected 5 \(class"),
        ("0 0.5 0.5 1 1 0.9", r"has 6 values, expected 5 \(class"),
        ("0 0.5 0.5 1 x", "is not made of numbers"),
        ("0 0.5 0.5 nan 1", "has nan, expected fractions"),
        ("0 20 12 10 8", "has 20, expected fractions of the image's width and height, 0 to 1"),
        ("0 0.5 0.5 -1 1", "has -1, expected fractions"),
    ],
)
def test_a_wrong_line_is_named(folder, line, message):
    given = folder({"data.yaml": NAMES, "a.txt": f"0 0.5 0.5 1 1\n{line}\n"})
    with pytest.raises(ValueError, match=rf"given/a\.txt, line 2: .*{message}"):
        read(given)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("names: [cat, true]", r"names is \['cat', True\], expected a list of texts; put true and false in quotes"),
        ("names: {1: cat, 2: dog}", r"names has the keys \['1', '2'\], expected 0 to 1"),
        ("names: [cat]\nkpt_shape: [17, 3]", "labels of keypoints are not read"),
        ("names: [cat]\nval: ../valid/images", r"val is '../valid/images', found no such folder or list in .*given"),
        ("names: [cat", "not valid YAML"),
    ],
)
def test_wrong_settings_are_named(folder, config, message):
    given = folder({"data.yaml": config, "train/labels/a.txt": ""}, ("train/images/a.png",))
    with pytest.raises(ValueError, match=rf"given/data\.yaml: .*{message}"):
        read(given)


@pytest.mark.parametrize("content", [b"names: [K\xf6ln]", b"[" * 100_000])
def test_settings_that_no_parser_takes_are_named(folder, content):
    given = folder({"data.yaml": ""})
    (given.root / "data.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"given/data\.yaml: not (UTF-8 text|valid YAML)"):
        read(given)


def test_what_is_missing_is_named(folder):
    given = folder({"a.txt": ""})
    assert str(evidence(given)) == "a.txt"
    with pytest.raises(ValueError, match=r"found no names of classes; expected data.yaml, or classes.txt"):
        read(given)
    (given.root / "a.txt").unlink()
    given = folder({"data.yaml": NAMES})
    with pytest.raises(ValueError, match="no image has a text file of its name"):
        read(given)


def test_one_text_for_two_images_is_refused(folder):
    given = folder({"data.yaml": NAMES, "a.txt": ""}, ("a.png", "a.jpg"))
    with pytest.raises(ValueError, match=r"a\.txt: has the name of a\.jpg and of a\.png, expected one image"):
        read(given)
