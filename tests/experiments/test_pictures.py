"""Pictures: annotations are drawn as masks where the file has them, as boxes where it has none."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from core.config import DataConfig
from core.datasets.coco import load_validation_set
from experiments.pictures import draw_annotations


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
