"""The instances that a network detects in a folder of photos, as a new COCO file."""

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch import nn

from core.annotate.each_photo import Found, PhotosDone, each_photo
from core.annotate.output import MADE_HERE, Pictures, output_folder
from core.checkpoints.network import load_checkpoint_network
from core.compute.compute import Compute
from core.compute.precision import autocast
from core.config import Config
from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.batch import collate
from core.datasets.photo_folder import list_photos
from core.drawing import draw_instances
from core.evaluation.detection import coco_results
from core.evaluation.postprocess import detect
from core.pseudo_masks.given_boxes import resized


@dataclass
class Annotated:
    """What a run found: the entries of the COCO file, and why photos were left out, by name."""

    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    started_over: list[str] = field(default_factory=list)  # how the task of an interrupted run differed


def annotate(
    checkpoint: Path, images: Path, out: Path, compute: Compute, *, min_score: float, pictures: Pictures = "auto"
) -> Annotated:
    """Write `out/annotations.json` (COCO, run-length encoded masks, scores) and a picture of each photo.

    Categories have the ids of the training data. Instances with a score below `min_score` are left out, and photos
    that cannot be read; pictures of an earlier run are no photos (`list_photos`). Whatever ends the run, what was found
    until then is written, and the next run with the same arguments goes on from there.

    Raises:
        ValueError: if the checkpoint cannot be read, the folder has no photo that can be read, or a file that no
            earlier run wrote would be replaced, or another process works in `out`.
    """
    model, config, categories = load_checkpoint_network(checkpoint, device=compute.device)
    listed, failed = list_photos(images)
    content = {"info": MADE_HERE, "images": listed, "categories": categories, "annotations": []}
    records = AnnotationFile.from_content(content, path=images, image_folder=images).images
    name_of = {category["id"]: category["name"] for category in categories}
    task = {"checkpoint": digest(checkpoint), "min_score": min_score}
    done = PhotosDone(failed=failed)
    annotated = Annotated(failed=failed)
    with output_folder(out, pictures, task, [entry["file_name"] for entry in listed]) as output:
        annotated.started_over = output.progress.changed
        try:
            each_photo(
                records,
                images,
                output,
                partial(detected, model, config, compute, list(name_of), min_score),
                partial(drawn, name_of),
                done,
                key=lambda record: record.file_name,
                upright=True,
                progress=compute.progress,
            )
        finally:
            annotated.images = [entry for entry in listed if entry["id"] in done.found]
            annotated.annotations = numbered(done.found)
            output.write_annotations(content | {"images": annotated.images, "annotations": annotated.annotations})
        output.progress.finish()
    return annotated


def numbered(found: dict[int, Found]) -> list[dict[str, Any]]:
    """The instances found, by image id, as COCO annotations with ids from 1."""
    instances = [{"image_id": image_id} | instance for image_id, of_image in found.items() for instance in of_image]
    return [{"id": number} | instance for number, instance in enumerate(instances, 1)]


def detected(
    model: nn.Module,
    config: Config,
    compute: Compute,
    category_ids: list[int],
    min_score: float,
    record: ImageRecord,
    photo: Image.Image,
) -> Found:
    """The instances of a photo, best first, as COCO annotations without the ids of annotation and image."""
    batch = collate([resized(record, photo, config.data)]).to(compute.device)
    with torch.inference_mode(), autocast(config.training.precision, compute.device):
        found = detect(model, batch, **config.inference.model_dump(exclude={"batch_size"}))[0]
    results = zip(*coco_results(found, record.image_id, category_ids), strict=True)
    return [
        {
            "category_id": box["category_id"],
            "bbox": box["bbox"],
            "segmentation": mask["segmentation"],
            "area": int(coco_mask.area(mask["segmentation"])),
            "iscrowd": 0,
            "score": box["score"],
        }
        for box, mask in results
        if box["score"] >= min_score
    ]


def drawn(name_of: dict[int, str], record: ImageRecord, photo: Image.Image, found: Found) -> Image.Image:
    boxes = torch.tensor([instance["bbox"] for instance in found]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    names = list(name_of.values())
    label_of = {category_id: label for label, category_id in enumerate(name_of)}
    labels = torch.tensor([label_of[instance["category_id"]] for instance in found], dtype=torch.int64)
    scores = torch.tensor([instance["score"] for instance in found])
    return draw_instances(photo, boxes, labels, [instance["segmentation"] for instance in found], names, scores)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
