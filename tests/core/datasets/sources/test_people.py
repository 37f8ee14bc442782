import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets.annotation_file import AnnotationFile
from core.datasets.sources.people import ANNOTATIONS, LIST_OF_IMAGES, is_made, people_file, scaled_size, write_people

# image id: width, height; 640 x 427 becomes 320 x 214, so that x is halved and y scaled by 214 / 427.
SIZES = {139: (640, 427), 285: (200, 100), 632: (400, 640)}
POLYGON = [100.0, 42.7, 200.0, 42.7, 200.0, 427.0]


def image_entry(image_id: int) -> dict[str, Any]:
    width, height = SIZES[image_id]
    url = f"http://flickr/{image_id}"
    return {
        "id": image_id, "file_name": f"{image_id:012d}.jpg", "width": width, "height": height,
        "license": 3, "flickr_url": url, "coco_url": "", "date_captured": "",
    }  # fmt: skip


def person(annotation_id: int, image_id: int, **fields: Any) -> dict[str, Any]:
    default = {
        "id": annotation_id, "image_id": image_id, "category_id": 1, "iscrowd": 0,
        "bbox": [100.0, 42.7, 100.0, 384.3], "area": 19215.0, "segmentation": [POLYGON],
    }  # fmt: skip
    return default | fields


def official(annotations: list[dict[str, Any]]) -> dict[str, Any]:
    images = [image_entry(image_id) for image_id in SIZES]
    return {"info": {}, "licenses": [{"id": 3}], "images": images, "annotations": annotations, "categories": []}


ALL = [
    person(50, 632, bbox=[10, 20, 30, 41], area=1.0),
    person(40, 139),
    person(41, 139, category_id=18),  # a dog
    person(30, 285, bbox=[1, 2, 3, 4], segmentation=[[1, 2, 4, 2, 4, 6]], area=6.0),
    person(51, 632, iscrowd=1, bbox=[0, 0, 400, 640], segmentation={"counts": [], "size": [640, 400]}),
]


@pytest.mark.parametrize(
    ("size", "scaled"),
    [
        ((640, 427), (320, 214)),  # 213.5
        ((640, 425), (320, 212)),  # 212.5
        ((480, 640), (240, 320)),
        ((500, 333), (320, 213)),  # 213.12
        ((200, 100), (200, 100)),  # never enlarged
    ],
)
def test_the_longer_side_becomes_320(size: tuple[int, int], scaled: tuple[int, int]) -> None:
    assert scaled_size(*size) == scaled


def test_one_person_with_polygons_scaled_to_the_whole_pixels_of_the_photo() -> None:
    content = people_file(official(ALL), [285, 139], masks=True)
    assert content["images"][1] == {
        "id": 139, "file_name": "000000000139.jpg", "width": 320, "height": 214,
        "license": 3, "flickr_url": "http://flickr/139",
    }  # fmt: skip
    assert content["annotations"][1] == {
        "id": 2, "image_id": 139, "category_id": 1, "iscrowd": 0,
        "bbox": [50.0, 21.4, 50.0, 192.6],  # 42.7 x 214 / 427 = 21.4
        "area": 4815.0,  # 19215 / 2 x 214 / 427
        "segmentation": [[50.0, 21.4, 100.0, 21.4, 100.0, 214.0]],
    }  # fmt: skip
    assert content["annotations"][0]["segmentation"] == [[1, 2, 4, 2, 4, 6]]
    assert content["categories"] == [{"id": 1, "name": "person", "supercategory": "person"}]
    assert content["licenses"] == [{"id": 3}]


def test_boxes_only_has_no_masks_and_crowds_as_boxes() -> None:
    content = people_file(official(ALL), [632], masks=False)
    assert content["annotations"] == [
        {"id": 1, "image_id": 632, "category_id": 1, "bbox": [5.0, 10.0, 15.0, 20.5], "area": 307.5, "iscrowd": 0},
        {"id": 2, "image_id": 632, "category_id": 1, "bbox": [0.0, 0.0, 200.0, 320.0], "area": 64000.0, "iscrowd": 0},
    ]


@pytest.mark.parametrize(
    ("annotations", "image_id", "masks", "message"),
    [
        (ALL, 632, True, "image 632: has 2 annotations of people, expected one"),
        (ALL, 139, False, "image 139: has 1 annotations of people, expected several"),
        ([], 139, True, "image 139: has 0 annotations of people, expected one"),
        ([], 139, False, "image 139: has 0 annotations of people, expected several"),
        (ALL, 7, True, r"image 7: not in annotations/instances_val2017\.json"),
        ([person(40, 139, iscrowd=1)], 139, True, r"annotation 40 \(image 139\): is a crowd"),
    ],
)
def test_other_annotations_than_the_official_ones_are_refused(
    annotations: list[dict[str, Any]], image_id: int, masks: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        people_file(official(annotations), [image_id], masks=masks)


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    """Archives of three photos, and a list of them."""
    with zipfile.ZipFile(tmp_path / "annotations.zip", "w") as archive:
        archive.writestr(ANNOTATIONS, json.dumps(official(ALL)))
    with zipfile.ZipFile(tmp_path / "val2017.zip", "w") as archive:
        for image_id, (width, height) in SIZES.items():
            column = np.linspace(0, 255, width, dtype=np.uint8)
            photo = Image.fromarray(np.broadcast_to(column, (height, width)).copy())  # gray, as some of COCO are
            buffer = BytesIO()
            photo.save(buffer, "JPEG", quality=95)
            archive.writestr(f"val2017/{image_id:012d}.jpg", buffer.getvalue())
    (tmp_path / "list.json").write_text(json.dumps({"train": [139], "val": [285], "boxes_only": [632]}))
    return {
        "annotations": tmp_path / "annotations.zip",
        "photos": tmp_path / "val2017.zip",
        "list_of_images": tmp_path / "list.json",
    }


def test_the_folder_is_complete_and_our_own_reader_takes_it(archives: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / "people"
    write_people(root, **archives)
    assert is_made(root, archives["list_of_images"])
    expected = {"images", "instances_train.json", "instances_val.json", "boxes_only.json"}
    assert {path.name for path in root.iterdir()} == expected
    for name in expected - {"images"}:
        file = AnnotationFile.read(root / name, root / "images")
        assert file.problems == []
        for record in file.images:
            with Image.open(root / "images" / record.file_name) as photo:
                assert (photo.mode, photo.size) == ("RGB", (record.width, record.height))
                left_to_right = np.asarray(photo)[record.height // 2, :, 0].astype(int)
            ramp = np.linspace(0, 255, record.width)
            assert np.abs(left_to_right - ramp).max() < 4


def test_a_folder_with_some_of_the_photos_is_refused(archives: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / "people"
    assert not is_made(root, archives["list_of_images"])
    write_people(root, **archives)
    (root / "images/000000000139.jpg").unlink()
    with pytest.raises(ValueError, match=r"people: contains some of the files, but 1 are missing, such as .*0139\.jpg"):
        is_made(root, archives["list_of_images"])


def test_an_archive_that_lacks_a_photo_leaves_nothing(archives: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(archives["photos"], "w") as archive:
        archive.writestr("val2017/other.jpg", b"")
    with pytest.raises(ValueError, match=r"val2017\.zip: is damaged or lacks a file .*000000000139\.jpg"):
        write_people(tmp_path / "people", **archives)
    assert list((tmp_path / "people").iterdir()) == []


def test_no_photo_of_the_list_stands_twice() -> None:
    splits = json.loads(LIST_OF_IMAGES.read_bytes())
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 645, "val": 200, "boxes_only": 1648}
    assert len({image_id for ids in splits.values() for image_id in ids}) == 645 + 200 + 1648
