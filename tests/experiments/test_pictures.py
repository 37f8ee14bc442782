"""Pictures: annotations are drawn as masks, as boxes where the file has none; a detection looks like its annotation."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from core.config import DataConfig
from core.datasets.coco import load_validation_set
from core.datasets.masks import encode
from core.evaluation.evaluate import Evaluation
from experiments import pictures
from experiments.pictures import draw_annotations, draw_detections


def validation_set(shapes: Path, annotations: str = "instances_val.json"):
    return load_validation_set(
        DataConfig(root=str(shapes), val_images="val", val_annotations=annotations, val_short_side=96, long_side_max=96)
    )


def test_annotations_are_drawn_on_the_first_images(shapes: Path, tmp_path: Path) -> None:
    names = draw_annotations(validation_set(shapes), tmp_path)
    assert names == [f"{i:012d}.png" for i in range(1, 8)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_boxes_without_masks_are_drawn_as_boxes(shapes: Path, tmp_path: Path) -> None:
    content = json.loads((shapes / "instances_val.json").read_text())
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    with_masks, boxes_only = validation_set(shapes), validation_set(shapes, str(tmp_path / "boxes.json"))
    name = draw_annotations(with_masks, tmp_path / "masks")[0]
    draw_annotations(boxes_only, tmp_path / "boxes")
    photo = np.asarray(with_masks.load_image(0).resize((288, 288), Image.Resampling.BICUBIC)).astype(int)
    changed = {
        kind: (np.abs(np.asarray(Image.open(tmp_path / kind / name)).astype(int) - photo).max(2) > 3).mean()
        for kind in ("masks", "boxes")
    }
    assert 0 < changed["boxes"] < changed["masks"]


def test_a_detection_has_the_color_of_its_annotation_and_the_iou_of_their_masks(
    shapes: Path, tmp_path: Path, monkeypatch
) -> None:
    dataset, content = validation_set(shapes), json.loads((shapes / "instances_val.json").read_text())
    index = next(i for i, record in enumerate(dataset.records) if len(record.labels) > 1)
    record = dataset.records[index]
    by_id = {annotation["id"]: annotation for annotation in content["annotations"]}
    found = [by_id[annotation_id] for annotation_id in reversed(record.annotation_ids)]
    found.append(found[0] | {"bbox": [0, 0, 4, 4]})  # where there is nothing
    common = [
        {"image_id": record.image_id, "category_id": annotation["category_id"], "score": 0.9 - 0.1 * place}
        for place, annotation in enumerate(found)
    ]
    boxes = [part | {"bbox": annotation["bbox"]} for part, annotation in zip(common, found, strict=True)]
    masks = [
        part | {"segmentation": encode(annotation["segmentation"], record.height, record.width)}
        for part, annotation in zip(common, found, strict=True)
    ]
    drawn = {}
    monkeypatch.setattr(pictures, "draw_instances", lambda image, *_, **given: drawn.update(given) or image)
    monkeypatch.setattr(pictures, "NUM_PICTURES", index + 1)
    draw_detections(Evaluation({}, {}, {}, {}, boxes, masks), dataset, content, tmp_path)
    count = len(record.labels)
    assert drawn["colors"] == [*reversed(range(count)), count]
    assert drawn["notes"] == ["IoU 1.00"] * count + [""]
    assert drawn["outlines"] == [mask["segmentation"] for mask in masks[:count]][::-1]
