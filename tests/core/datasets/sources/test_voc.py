import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat
from scipy.sparse import csc_matrix

from core.datasets.annotation_file import AnnotationFile
from core.datasets.sources.voc import sbd_instances, voc_instances, write_voc_files

# Two instances side by side; 255: the band along their outlines.
OBJECTS = np.array(
    [
        [0, 255, 255, 255, 0, 0],
        [0, 255, 1, 255, 2, 2],
        [0, 255, 1, 255, 2, 2],
        [0, 255, 255, 255, 0, 0],
    ],
    dtype=np.uint8,
)
CLASSES = np.where(OBJECTS == 1, 15, np.where(OBJECTS == 2, 8, OBJECTS)).astype(np.uint8)  # person, cat
PERSON, CAT = OBJECTS == 1, OBJECTS == 2


def write_png(path: Path, indices: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(indices)
    image.putpalette([value for index in range(256) for value in (255 - index, index // 2, 7)])
    image.save(path)


def write_mat(sbd: Path, name: str, objects: np.ndarray, categories: list[int]) -> None:
    (sbd / "inst").mkdir(parents=True, exist_ok=True)
    column = np.array(categories, dtype=np.uint8)[:, None]
    boundaries = np.empty((len(categories), 1), dtype=object)  # of each instance, sparse; not needed
    for index in range(len(categories)):
        boundaries[index, 0] = csc_matrix(objects == index + 1)
    content = {"GTinst": {"Segmentation": objects, "Boundaries": boundaries, "Categories": column}}
    savemat(sbd / f"inst/{name}.mat", content)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """VOC: one image to train on, one to validate; SBD: these and two more."""
    voc, sbd = tmp_path / "VOC2012", tmp_path / "SBD"
    names = ["2007_000032", "2007_000033", "2008_000002", "2010_000099"]
    (voc / "JPEGImages").mkdir(parents=True)
    for name in names:
        Image.new("RGB", (6, 4)).save(voc / f"JPEGImages/{name}.jpg")
    for name in names[:2]:
        write_png(voc / f"SegmentationObject/{name}.png", OBJECTS)
        write_png(voc / f"SegmentationClass/{name}.png", CLASSES)
    (voc / "ImageSets/Segmentation").mkdir(parents=True)
    (voc / "ImageSets/Segmentation/train.txt").write_text("2007_000032\n")
    (voc / "ImageSets/Segmentation/val.txt").write_text("2007_000033\n")
    for name in names:
        write_mat(sbd, name, PERSON.astype(np.uint8), [1])
    (sbd / "train.txt").write_text("2010_000099\n2007_000033\n2007_000032\n")
    (sbd / "val.txt").write_text("2008_000002\n")
    return voc, sbd, tmp_path / "annotations"


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_the_training_set_is_both_without_the_validation_images(folders: tuple[Path, Path, Path]) -> None:
    write_voc_files(*folders)
    train, val = (read(folders[2] / f"instances_{split}.json") for split in ("train_aug", "val"))
    assert [image["file_name"] for image in train["images"]] == [
        "2007_000032.jpg", "2008_000002.jpg", "2010_000099.jpg",
    ]  # fmt: skip
    assert [image["id"] for image in val["images"]] == [2007000033]
    # The first has VOC's two instances, not SBD's one; the others have SBD's.
    assert [(a["image_id"], a["category_id"]) for a in train["annotations"]] == [
        (2007000032, 15), (2007000032, 8), (2008000002, 1), (2010000099, 1),
    ]  # fmt: skip
    assert [a["id"] for a in train["annotations"]] == [1, 2, 3, 4]


def test_masks_boxes_and_areas_are_those_of_the_picture_without_the_border(folders: tuple[Path, Path, Path]) -> None:
    write_voc_files(*folders)
    person, cat = read(folders[2] / "instances_val.json")["annotations"]
    assert (person["bbox"], person["area"]) == ([2, 1, 1, 2], 2)
    assert (cat["bbox"], cat["area"]) == ([4, 1, 2, 2], 4)
    np.testing.assert_array_equal(coco_mask.decode(person["segmentation"]), PERSON)
    np.testing.assert_array_equal(coco_mask.decode(cat["segmentation"]), CAT)


def test_our_own_reader_takes_the_files(folders: tuple[Path, Path, Path]) -> None:
    write_voc_files(*folders)
    file = AnnotationFile.read(folders[2] / "instances_train_aug.json", folders[0] / "JPEGImages")
    assert file.problems == []
    assert len(file.categories) == 20
    assert (file.categories[0], file.categories[14], file.categories[19]) == ("aeroplane", "person", "tvmonitor")
    assert file.categories == sorted(file.categories)
    np.testing.assert_array_equal(file.images[0].boxes, [[2, 1, 3, 3], [4, 1, 6, 3]])


def test_a_file_that_is_there_is_left(folders: tuple[Path, Path, Path]) -> None:
    write_voc_files(*folders)
    (folders[2] / "instances_val.json").unlink()
    (folders[2] / "instances_train_aug.json").write_text("mine")
    write_voc_files(*folders)
    assert (folders[2] / "instances_train_aug.json").read_text() == "mine"
    assert read(folders[2] / "instances_val.json")["images"]


def test_the_category_is_that_of_most_of_the_instance(folders: tuple[Path, Path, Path]) -> None:
    classes = CLASSES.copy()
    classes[1, 4], classes[2, 4] = 12, 255  # of the cat's four pixels one is a dog's and one border
    write_png(folders[0] / "SegmentationClass/2007_000033.png", classes)
    assert [category for category, _ in voc_instances(folders[0], "2007_000033")] == [15, 8]


def test_an_instance_without_category_is_refused(folders: tuple[Path, Path, Path]) -> None:
    voc, sbd, _ = folders
    write_png(voc / "SegmentationClass/2007_000033.png", np.where(CAT, 0, CLASSES).astype(np.uint8))
    with pytest.raises(ValueError, match=r"SegmentationObject/2007_000033\.png: instance 2 has no class"):
        voc_instances(voc, "2007_000033")
    for categories in ([15], [15, 0], [15, 21]):
        write_mat(sbd, "2008_000002", OBJECTS % 255, categories)
        with pytest.raises(ValueError, match=r"2008_000002\.mat: instance 2 has no class, expected one of 1 to 20"):
            sbd_instances(sbd, "2008_000002")


def test_sbd_numbers_pick_from_its_list_of_categories(folders: tuple[Path, Path, Path]) -> None:
    objects = np.where(CAT, 3, PERSON).astype(np.uint8)  # there is no pixel of instance 2
    write_mat(folders[1], "2008_000002", objects, [15, 1, 8])
    (first, first_mask), (second, second_mask) = sbd_instances(folders[1], "2008_000002")
    assert (first, second) == (15, 8)
    np.testing.assert_array_equal(first_mask, PERSON)
    np.testing.assert_array_equal(second_mask, CAT)


def test_an_image_without_instances_is_kept(folders: tuple[Path, Path, Path]) -> None:
    write_mat(folders[1], "2008_000002", np.zeros((4, 6), dtype=np.uint8), [])
    write_voc_files(*folders)
    train = read(folders[2] / "instances_train_aug.json")
    assert 2008000002 in [image["id"] for image in train["images"]]
    assert 2008000002 not in [a["image_id"] for a in train["annotations"]]


def test_what_does_not_fit_is_told_and_no_file_is_left(folders: tuple[Path, Path, Path]) -> None:
    voc, sbd, out = folders
    write_mat(sbd, "2008_000002", np.ones((4, 7), dtype=np.uint8), [1])
    with pytest.raises(ValueError, match=r"2008_000002\.jpg: is 6 x 4 pixels, its masks are 7 x 4"):
        write_voc_files(voc, sbd, out)
    (sbd / "inst/2008_000002.mat").write_text("no such thing")
    with pytest.raises(ValueError, match=r"2008_000002\.mat: cannot be read as an instance file of SBD"):
        write_voc_files(voc, sbd, out)
    (sbd / "inst/2008_000002.mat").unlink()
    with pytest.raises(ValueError, match=r"2008_000002\.mat: cannot be read"):
        write_voc_files(voc, sbd, out)
    (voc / "JPEGImages/2008_000002.jpg").unlink()
    with pytest.raises(ValueError, match=r"2008_000002\.jpg: cannot be read as an image"):
        write_voc_files(voc, sbd, out)
    (sbd / "val.txt").unlink()
    with pytest.raises(ValueError, match=r"val\.txt: cannot be read .*expected the names of a split"):
        write_voc_files(voc, sbd, out)
    assert list(out.iterdir()) == []


def test_a_picture_in_true_color_is_no_mask(folders: tuple[Path, Path, Path]) -> None:
    Image.new("RGB", (6, 4)).save(folders[0] / "SegmentationObject/2007_000033.png")
    with pytest.raises(ValueError, match=r"2007_000033\.png: is an image of mode RGB, expected one with a palette"):
        voc_instances(folders[0], "2007_000033")
