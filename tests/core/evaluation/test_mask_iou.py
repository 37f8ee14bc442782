"""The IoU of masks with true ones, worked by hand: means, medians, filled boxes, and what is not measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.evaluation.mask_iou import compare_masks, main, read_masks, table


def rectangle(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(annotation_id: int, segmentation: Any, bbox: list[int], **more: Any) -> dict[str, Any]:
    return {"id": annotation_id, "image_id": 5, "category_id": 1, "bbox": bbox, "segmentation": segmentation} | more


def write(path: Path, annotations: list[dict[str, Any]], size: tuple[int, int] = (20, 30)) -> Path:
    images = [{"id": 5, "file_name": "not/looked/for.png", "height": size[0], "width": size[1]}]
    content = {"images": images, "categories": [{"id": 1, "name": "thing"}], "annotations": annotations}
    path.write_text(json.dumps(content))
    return path


def truth(folder: Path) -> Path:
    """Four objects, each 4 x 10 pixels in a box of 8 x 10, and a crowd."""
    box = [0, 0, 8, 10]
    objects = [annotation(i, rectangle(0, 0, 4, 10), box, area=40, iscrowd=0) for i in (1, 2, 3, 4)]
    crowd = annotation(9, {"size": [20, 30], "counts": [0, 600]}, [0, 0, 30, 20], iscrowd=1)
    return write(folder / "truth.json", [*objects, crowd])


def masks(folder: Path) -> Path:
    """Of objects 3, 1 and 2, in this order; 4 has no mask, and 7 is not in the truth."""
    box = [0, 0, 8, 10]
    found = [
        annotation(3, rectangle(0, 0, 8, 10), box, mask_source="box"),  # 40 / 80
        annotation(1, rectangle(0, 0, 4, 10), box),  # 40 / 40
        annotation(2, rectangle(3, 0, 7, 10), box),  # 10 / 70
        annotation(4, [], box),
        annotation(7, rectangle(0, 0, 4, 10), box),
        annotation(9, rectangle(0, 0, 4, 10), box),
    ]
    return write(folder / "masks.json", found)


def test_the_masks_of_each_annotation_are_compared_and_so_are_the_boxes(tmp_path: Path) -> None:
    ious = compare_masks(read_masks(masks(tmp_path)), read_masks(truth(tmp_path)))
    assert np.allclose(ious.masks, [1, 1 / 7, 1 / 2])  # of 1, 2, 3
    assert np.allclose(ious.boxes, [1 / 2] * 3)
    assert ious.is_filled_box.tolist() == [False, False, True]
    assert ious.num_without == 1


def test_the_command_prints_mean_and_median_and_the_share_that_is_the_box(tmp_path: Path, capsys) -> None:
    assert main([str(masks(tmp_path)), "--against", str(truth(tmp_path))]) == 0
    # (1 + 1/7 + 1/2) / 3 = 0.548; (1 + 1/7) / 2 = 0.571
    assert capsys.readouterr().out.splitlines() == [
        "IoU with the true masks     number    mean  median",
        "masks                            3   0.548   0.500",
        "  filled boxes (33.3%)           1   0.500   0.500",
        "  others                         2   0.571   0.571",
        "the true boxes, filled           3   0.500   0.500",
        "not measured: 1 of 4 true masks have no mask there",
    ]


def test_masks_compared_with_themselves_are_equal(tmp_path: Path) -> None:
    true = read_masks(truth(tmp_path))
    assert table(compare_masks(true, true)).splitlines()[1] == "masks                            4   1.000   1.000"


def test_an_empty_mask_has_nothing_in_common(tmp_path: Path) -> None:
    nothing = annotation(1, {"size": [20, 30], "counts": [600]}, [0, 0, 8, 10])
    ious = compare_masks(read_masks(write(tmp_path / "masks.json", [nothing])), read_masks(truth(tmp_path)))
    assert ious.masks.tolist() == [0.0]


@pytest.mark.parametrize(
    ("entry", "size", "message"),
    [
        (annotation(7, rectangle(0, 0, 4, 10), [0, 0, 8, 10]), (20, 30), "no pair of masks: 1 annotations with a mask"),
        (annotation(1, [], [0, 0, 8, 10]), (20, 30), "no annotation of the file with the masks has one"),
        (annotation(1, rectangle(0, 0, 4, 10), [0, 0, 8, 10]), (20, 40), r"annotation 1: .* \(20, 40\), expected"),
        (annotation(1, [[1, 2, 3]], [0, 0, 8, 10]), (20, 30), r"annotation 1 \(image 5\): polygon is"),
        (annotation(1, rectangle(0, 0, 4, 10), [0, 0, 8]), (20, 30), r"annotation 1 \(image 5\): bbox is \[0, 0, 8\]"),
        (annotation(1, rectangle(0, 0, 4, 10), [0, 0, 8, 10]), (0, 30), "width and height are 30 x 0"),
    ],
    ids=["ids", "none", "sizes", "mask", "box", "image"],
)
def test_what_cannot_be_compared_is_named(
    tmp_path: Path, entry: dict[str, Any], size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare_masks(read_masks(write(tmp_path / "masks.json", [entry], size)), read_masks(truth(tmp_path)))
