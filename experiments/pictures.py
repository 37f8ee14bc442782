"""Pictures of a trial: its detections on the first validation images, and the annotations of the same images."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.datasets import masks
from core.datasets.coco import CocoDataset
from core.drawing import draw_instances
from core.evaluation.evaluate import Evaluation

NUM_PICTURES = 8  # the first images of the validation set, the same in every trial
MIN_SCORE = 0.5  # weaker detections are not drawn; a score is the square root of class probability * centerness
PICTURE_SIZE = 320  # longer side, px: smaller images are enlarged up to it by a whole factor


def draw_detections(evaluation: Evaluation, dataset: CocoDataset, folder: Path) -> list[str]:
    """Draw the detections of an evaluation; returns the file names of the PNGs."""
    labels = {category_id: label for label, category_id in enumerate(dataset.category_ids)}
    names = []
    for index, image_id in enumerate(dataset.image_ids[:NUM_PICTURES]):
        results = zip(evaluation.box_results, evaluation.mask_results, strict=True)
        found = [(box, mask) for box, mask in results if box["image_id"] == image_id]
        boxes = torch.tensor([box["bbox"] for box, _ in found]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # xywh to xyxy
        names.append(
            _save(
                dataset,
                index,
                boxes,
                torch.tensor([labels[box["category_id"]] for box, _ in found], dtype=torch.int64),
                [mask["segmentation"] for _, mask in found],
                torch.tensor([box["score"] for box, _ in found]),
                folder,
            )
        )
    return names


def draw_annotations(dataset: CocoDataset, folder: Path) -> list[str]:
    """Draw the annotations of the same images; boxes only if an instance of the image has no mask."""
    names = []
    for index, record in enumerate(dataset.records[:NUM_PICTURES]):
        all_have_masks = all(masks.has_area(segmentation) for segmentation in record.segmentations)
        encodings = [masks.encode(s, record.height, record.width) for s in record.segmentations if all_have_masks]
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
    )
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{dataset.image_ids[index]:012d}.png"
    picture.save(folder / name)
    return name
