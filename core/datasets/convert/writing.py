"""Write a converted data set: `images/` and one COCO file for each split, as the recipe `own` reads them."""

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pycocotools import mask as coco_mask

from core.datasets.annotation_file import AnnotationFile
from core.datasets.convert.labeled import LabeledImage, LabeledObject
from core.datasets.masks import encode

IMAGES = "images"


def require_new(root: Path, source: Path) -> None:
    """Check that the data set `root` can be made from the folder `source`.

    Raises:
        ValueError: if `root` has any file, or lies inside of `source`.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ValueError(f"{root}: is there already, expected a new or an empty folder; nothing was written")
    if root.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{root}: is inside of {source}, expected a folder outside of it")


def write_data_set(
    root: Path, source: Path, splits: dict[str, list[LabeledImage]], classes: list[str]
) -> dict[str, AnnotationFile]:
    """Write `root/images` and `root/instances_SPLIT.json`; returns the files, which have no problem.

    Images keep their path below their common folder. They are hard links, which need no space, or copies where the
    disk has no links. `root`, for which `require_new` holds, appears when it is complete.

    Raises:
        ValueError: if the data set has a problem; names the first.
    """
    everything = [image for images in splits.values() for image in images]
    common = Path(os.path.commonpath([image.path.parent for image in everything]))
    root.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{root.name}.", dir=root.parent) as scratch:
        partial = Path(scratch, "unfinished")
        for image in everything:
            target = partial / IMAGES / image.path.relative_to(common)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source / image.path, target)
        numbers, files = _Numbers(), {}
        for split, images in splits.items():
            path = partial / f"instances_{split}.json"
            content = _content(images, classes, common, numbers)
            path.write_text(json.dumps(content), encoding="utf-8")
            files[split] = AnnotationFile.from_content(content, path=root / path.name, image_folder=partial / IMAGES)
            files[split].raise_problems()
        os.replace(partial, root)
    return {split: replace(file, image_folder=root / IMAGES) for split, file in files.items()}


class _Numbers:
    """Ids that no two splits share."""

    def __init__(self) -> None:
        self.image = self.annotation = 0


def _content(images: Iterable[LabeledImage], classes: list[str], common: Path, numbers: _Numbers) -> dict[str, Any]:
    """The content of a COCO file; class ids count from 1 in the order of the classes."""
    id_of = {name: number for number, name in enumerate(classes, 1)}
    entries, annotations = [], []
    for image in images:
        numbers.image += 1
        name = image.path.relative_to(common).as_posix()
        entries.append({"id": numbers.image, "file_name": name, "width": image.width, "height": image.height})
        for labeled in image.objects:
            numbers.annotation += 1
            ids = {"id": numbers.annotation, "image_id": numbers.image, "category_id": id_of[labeled.class_name]}
            annotations.append(ids | _measures(labeled, image))
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    return {"images": entries, "annotations": annotations, "categories": categories}


def _measures(labeled: LabeledObject, image: LabeledImage) -> dict[str, Any]:
    """Box, area, crowd mark, and the mask if there is one; the area is that of the mask in pixels, or of the box."""
    x1, y1, x2, y2 = labeled.box
    width, height = round(x2 - x1, 3), round(y2 - y1, 3)
    measures = {"bbox": [x1, y1, width, height], "area": round(width * height, 3), "iscrowd": int(labeled.crowd)}
    if labeled.segmentation is None:
        return measures
    area = int(coco_mask.area(encode(labeled.segmentation, image.height, image.width)))
    return measures | {"area": area, "segmentation": labeled.segmentation}


def _link(source: Path, target: Path) -> None:
    source = source.resolve()  # a link to a symbolic link would break with it
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(source, target)
