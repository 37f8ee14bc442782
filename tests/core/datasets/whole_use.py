"""Everything that a training and its evaluation do with a data set: whatever passes the check must survive it."""

from pathlib import Path

from core.config import DataConfig, SupervisionConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.batch import collate
from core.datasets.check.problems import training_problems, validation_problems
from core.datasets.coco import build_training_set, build_validation_set
from core.datasets.filled_box import encode_mask, filled_box
from core.evaluation.coco_metrics import CocoScores, coco_metrics, found_annotations

SIZES = {"short_sides": (24, 32), "long_side_max": 64, "val_short_side": 32, "scale_range": (0.5, 2.0)}


def problems_of(path: Path, image_folder: Path) -> list[str]:
    """What the check says of a file used for training and for evaluation; empty if it passes."""
    try:
        file = AnnotationFile.read(path, image_folder)
    except ValueError as error:
        return [str(error)]
    return training_problems(file) + validation_problems(file)


def use_for_all(path: Path, image_folder: Path) -> CocoScores:
    """Read the file, make every sample of a training and of a validation, and evaluate detections of every box.

    Raises:
        ValueError: if the file is refused; anything else is a fault of ours.
    """
    file = AnnotationFile.read(path, image_folder)
    data = DataConfig(root=str(image_folder), drop_images_without_boxes=True, crowds="ignore", **SIZES)
    supervision = SupervisionConfig(mask_ratio=1.0)
    training_set = build_training_set(file, data, supervision, seed=0, semantic_labels=True)
    validation_set = build_validation_set(file, data)
    file.check_for_evaluation()
    for dataset in (training_set, validation_set):
        for index in range(len(dataset)):
            collate([dataset[index]])
    boxes, masks = [], []
    for record in validation_set.records:
        for box, label in zip(record.boxes, record.labels.tolist(), strict=True):
            mask = encode_mask(filled_box(box, record.height, record.width))
            found = {"image_id": record.image_id, "category_id": file.category_ids[label], "score": 0.5}
            boxes.append(found | {"bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]})
            masks.append(found | {"segmentation": {"size": mask["size"], "counts": mask["counts"].decode()}})
    restricted = {"image_ids": validation_set.image_ids, "category_ids": validation_set.category_ids}
    found_annotations(file.content, masks, **restricted)
    return coco_metrics(file.content, boxes, masks, **restricted)
