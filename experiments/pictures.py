"""Pictures of a trial: its detections on the first validation images, and the annotations of the same images."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from core.datasets import masks
from core.datasets.annotation_file import ImageRecord
from core.datasets.coco import CocoDataset
from core.drawing import draw_instances
from core.evaluation.coco_metrics import matched_boxes
from core.evaluation.evaluate import Evaluation

NUM_PICTURES = 8  # the first images of the validation set, the same in every trial
MIN_SCORE = 0.5  # weaker detections are not drawn; a score is the square root of class probability * centerness
PICTURE_SIZE = 320  # longer side, px: smaller images are enlarged up to it by a whole factor


def draw_detections(evaluation: Evaluation, dataset: CocoDataset, content: dict[str, Any], folder: Path) -> list[str]:
    """Draw the detections of an evaluation; returns the file names of the PNGs.

    A detection has the color of the annotation whose box it matches, as in `draw_annotations`, and the IoU of their
    masks beside its score. The borders of all true masks are dashed. `content` is the annotation file.
    """
    labels = {category_id: label for label, category_id in enumerate(dataset.category_ids)}
    image_ids = dataset.image_ids[:NUM_PICTURES]
    results = zip(evaluation.box_results, evaluation.mask_results, strict=True)
    drawn = [(box, mask["segmentation"]) for box, mask in results if box["image_id"] in set(image_ids)]
    pairs = matched_boxes(content, [box for box, _ in drawn], image_ids=image_ids, category_ids=dataset.category_ids)
    annotation_of = {detection: content["annotations"][index] for detection, index in pairs}
    names = []
    for index, image_id in enumerate(image_ids):
        found = [i for i, (box, _) in enumerate(drawn) if box["image_id"] == image_id]
        boxes = torch.tensor([drawn[i][0]["bbox"] for i in found]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # xywh to xyxy
        names.append(
            _save(
                dataset,
                index,
                boxes,
                torch.tensor([labels[drawn[i][0]["category_id"]] for i in found], dtype=torch.int64),
                [drawn[i][1] for i in found],
                torch.tensor([drawn[i][0]["score"] for i in found]),
                folder,
                colors=_colors(dataset.records[index], [annotation_of.get(i) for i in found]),
                notes=[_iou_in_words(drawn[i][1], annotation_of.get(i)) for i in found],
                outlines=_true_masks(dataset.records[index]),
            )
        )
    return names


def _colors(record: ImageRecord, matched: Sequence[dict[str, Any] | None]) -> list[int]:
    """The number of each detection's color: the place of its annotation in the image; others count on from there."""
    places = {annotation_id: place for place, annotation_id in enumerate(record.annotation_ids)}
    others = count(len(places))
    return [next(others) if annotation is None else places[annotation["id"]] for annotation in matched]


def _iou_in_words(mask: dict[str, Any], annotation: dict[str, Any] | None) -> str:
    """IoU of a detected mask and that of its annotation; empty if it has none."""
    if annotation is None or not masks.has_area(annotation.get("segmentation")):
        return ""
    true = masks.encode(annotation["segmentation"], *mask["size"])
    return f"IoU {coco_mask.iou([mask], [true], [0])[0, 0]:.2f}"


def _true_masks(record: ImageRecord) -> list[dict]:
    """The masks of the annotations that have one, as run-length encodings."""
    with_masks = (segmentation for segmentation in record.segmentations if masks.has_area(segmentation))
    return [masks.encode(segmentation, record.height, record.width) for segmentation in with_masks]


def draw_annotations(dataset: CocoDataset, folder: Path) -> list[str]:
    """Draw the annotations of the same images; boxes only if an instance of the image has no mask."""
    names = []
    for index, record in enumerate(dataset.records[:NUM_PICTURES]):
        all_have_masks = all(masks.has_area(segmentation) for segmentation in record.segmentations)
        encodings = _true_masks(record) if all_have_masks else []
        boxes, labels = torch.from_numpy(record.boxes).float(), torch.from_numpy(record.labels)
        names.append(_save(dataset, index, boxes, labels, encodings, None, folder))
    return names


def _save(
    dataset: CocoDataset,
    index: int,
    boxes: Tensor,
    labels: Tensor,
    encodings: Sequence[dict],
    scores: Tensor | None,
    folder: Path,
    *,
    colors: Sequence[int] | None = None,
    notes: Sequence[str] | None = None,
    outlines: Sequence[dict] = (),
) -> str:
    image = dataset.load_image(index)
    picture = draw_instances(
        image,
        boxes,
        labels,
        encodings,
        dataset.categories,
        scores,
        min_score=MIN_SCORE,
        zoom=max(PICTURE_SIZE // max(image.size), 1),
        colors=colors,
        notes=notes,
        outlines=outlines,
    )
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{dataset.image_ids[index]:012d}.png"
    picture.save(folder / name)
    return name
