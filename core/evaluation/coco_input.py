"""What COCO's evaluation is given: annotations and results by image numbers, with every key that it needs."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from core.datasets.crowds import is_crowd
from core.datasets.masks import has_area, is_polygons, parts_with_area

Kind = Literal["bbox", "segm"]


def image_numbers(content: dict[str, Any]) -> dict[int, int]:
    """Numbers from 1 in the order of the image ids: as floating-point numbers, ids of 64 bits would be lost."""
    return {image_id: i for i, image_id in enumerate(sorted(image["id"] for image in content["images"]), 1)}


def true_input(content: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """The content of an annotation file for an evaluation of boxes or of masks; annotations are numbered from 1.

    Only what is needed of the file is handed on, since whatever else it holds need not suit the libraries.
    """
    number = image_numbers(content)
    return {
        "categories": [{key: category[key] for key in ("id", "name")} for category in content["categories"]],
        "images": [
            {"id": number[image["id"]], "height": image["height"], "width": image["width"]}
            for image in content["images"]
        ],
        "annotations": [
            _complete(annotation, id_, number[annotation["image_id"]], kind)
            for id_, annotation in enumerate(content["annotations"], 1)
        ],
    }


def found_input(content: dict[str, Any], results: list[dict]) -> list[dict]:
    """The results as copies with image numbers."""
    number = image_numbers(content)
    return [result | {"image_id": number[result["image_id"]]} for result in results]


def comparison(
    coco: Callable[[], Any],
    evaluation: Callable[[Any, Any, Kind], Any],
    content: dict[str, Any],
    results: list[dict],
    kind: Kind,
    *,
    image_ids: Sequence[int] | None,
    category_ids: Sequence[int] | None,
) -> Any:
    """The evaluation of results against a file, restricted to the images and classes, not run yet.

    `coco` and `evaluation` are the classes COCO and COCOeval of pycocotools, or of a library with its interface.
    """
    truth, found = coco(), coco()
    truth.dataset = true_input(content, kind)
    truth.createIndex()
    if results:
        found = truth.loadRes(found_input(content, results))
    else:
        found.dataset = truth.dataset | {"annotations": []}
        found.createIndex()
    run = evaluation(truth, found, kind)
    if image_ids is not None:
        number = image_numbers(content)
        run.params.imgIds = [number[image_id] for image_id in image_ids]
    if category_ids is not None:
        run.params.catIds = list(category_ids)
    return run


def _complete(annotation: dict[str, Any], annotation_id: int, image_number: int, kind: Kind) -> dict[str, Any]:
    """What is evaluated of the annotation, with all keys that must be there."""
    x, y, width, height = annotation["bbox"]
    complete = {
        "id": annotation_id,
        "image_id": image_number,
        "category_id": annotation["category_id"],
        "bbox": [x, y, width, height],
        "area": annotation.get("area", width * height),
        "iscrowd": int(is_crowd(annotation)),
    }
    if kind == "bbox":
        return complete
    segmentation = annotation.get("segmentation")
    if not has_area(segmentation):
        outline = [x, y, x + width, y, x + width, y + height, x, y + height]
        return complete | {"segmentation": [outline], "iscrowd": 1}
    return complete | {"segmentation": parts_with_area(segmentation) if is_polygons(segmentation) else segmentation}
