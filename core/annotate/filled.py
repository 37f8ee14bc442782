"""A COCO file of boxes with a mask for each: the same file, filled in."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch import nn

from core.annotate.detected import digest
from core.annotate.each_photo import Found, PhotosDone, each_photo
from core.annotate.output import ANNOTATIONS, Pictures, output_folder
from core.checkpoints.network import load_checkpoint_network
from core.compute.compute import Compute
from core.config import Config
from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.batch import collate
from core.datasets.masks import FILLED_BOX, encode, has_area, is_filled_box
from core.datasets.photo_folder import name_problem
from core.drawing import draw_instances
from core.model.mask_rcnn import MaskRcnn
from core.pseudo_masks.given_boxes import cut_to_box, masks_for_boxes, resized

SHOWN = 5  # class names in a message

log = logging.getLogger(__name__)


@dataclass
class Filled:
    """What a run did with the boxes of a file."""

    num_boxes: int = 0  # that were to get a mask
    num_masks: int = 0  # that got one
    fallbacks: Counter[str] = field(default_factory=Counter)  # of these, filled boxes, by reason
    num_kept: int = 0  # boxes with a mask of their own, left as they are
    num_crowds: int = 0  # left as they are
    num_flat: int = 0  # boxes of width or height 0, left as they are
    failed: dict[str, str] = field(default_factory=dict)  # why photos were left out, by name
    started_over: list[str] = field(default_factory=list)  # how the task of an interrupted run differed


def fill_boxes(
    checkpoint: Path,
    boxes: Path,
    images: Path,
    out: Path,
    compute: Compute,
    *,
    replace_masks: bool = False,
    pictures: Pictures = "auto",
) -> Filled:
    """Write `out/annotations.json`: the file `boxes`, with `segmentation` and `area` of each box without a mask.

    Everything else is as in the file, in its order: ids, classes, keys and sections of any kind. Where the network has
    no mask for a box, its mask is the filled box and the annotation has `mask_source: box`; another run tries these
    again. `replace_masks` makes new masks for boxes that have one, too. Crowds and boxes of width or height 0 are left
    as they are, and so are the boxes of photos that cannot be read.

    Masks need no class, but for Mask R-CNN's. There a class of the file that the checkpoint does not know by name
    leaves the choice to the network (`classes_unknown`).

    Whatever ends the run, what was filled until then is written, and the next run with the same arguments goes on from
    there. A picture is drawn of each photo with a box to fill.

    Raises:
        ValueError: if the checkpoint or the file of boxes cannot be read, the file has problems other than missing
            photos, the folder has none of its photos, a file that no earlier run wrote would be replaced, or another
            process works in `out`.
    """
    model, config, categories = load_checkpoint_network(checkpoint, device=compute.device)
    file = AnnotationFile.read(boxes, images, all_images=False)
    file.raise_problems()
    if file.missing_images and len(file.missing_images) == len(file.images):
        missing = file.missing_images[0]
        raise ValueError(f"{images}: has none of the {len(file.images)} photos of {boxes}, such as {missing}")
    todo = boxes_to_fill(file, replace_masks=replace_masks)
    if Path(out, ANNOTATIONS).exists() and Path(out, ANNOTATIONS).samefile(boxes):
        raise ValueError(f"{boxes}: --out would replace this file itself, expected another folder")
    known = [entry["name"].strip() for entry in categories]
    label_of = [known.index(name.strip()) if name.strip() in known else None for name in file.categories]
    warn(file, classes_unknown(model, file.categories, label_of, known))

    records = [record for record in file.images if todo[record.image_id]]
    too_long = {record.file_name: name_problem(Path(record.file_name).name) for record in records if pictures != "none"}
    failed = {name: f"{images}: {problem}" for name, problem in too_long.items() if problem}
    records = [record for record in records if record.file_name not in failed]
    filled = Filled(
        num_boxes=sum(map(len, todo.values())),
        num_kept=sum(len(record.labels) - len(todo[record.image_id]) for record in file.images),
        num_crowds=sum(record.num_crowds for record in file.images),
        num_flat=sum(record.num_flat_boxes for record in file.images),
        failed=failed,
    )
    done = PhotosDone(failed=failed)
    task = {"checkpoint": digest(checkpoint), "boxes": file.fingerprint.hex(), "replace_masks": replace_masks}
    with output_folder(out, pictures, task, [record.file_name for record in records]) as output:
        filled.started_over = output.progress.changed
        try:
            each_photo(
                records,
                images,
                output,
                partial(filled_in, model, config, compute, label_of, todo),
                partial(drawn, file.categories),
                done,
                key=lambda record: str(record.image_id),
                upright=False,
                progress=compute.progress,
            )
        finally:
            found = [instance for of_image in done.found.values() for instance in of_image]
            filled.num_masks = len(found)
            filled.fallbacks = Counter(instance["reason"] for instance in found if instance["reason"])
            output.write_annotations(with_masks(file.content, found))
        output.progress.finish()
    return filled


def boxes_to_fill(file: AnnotationFile, *, replace_masks: bool) -> dict[int, list[int]]:
    """The instances of each image, by its id, that are to get a mask: those without, and those filled by a fallback.

    Raises:
        ValueError: if a mask that is to be kept is malformed.
    """
    fallbacks = {entry["id"] for entry in file.content["annotations"] if is_filled_box(entry)}
    if not replace_masks and (problems := file.mask_problems(file.images)):
        try:
            file.raise_problems(problems)
        except ValueError as error:
            raise ValueError(f"{error}\n  mend them, or --replace-masks makes new masks for all boxes") from error
    return {
        record.image_id: [
            index
            for index, segmentation in enumerate(record.segmentations)
            if replace_masks or not has_area(segmentation) or record.annotation_ids[index] in fallbacks
        ]
        for record in file.images
    }


def warn(file: AnnotationFile, *notes: str | None) -> None:
    clipped = sum(record.num_clipped_boxes for record in file.images)
    advice = "their masks end at its side; check that boxes are x, y, width, height"
    for note in (*notes, f"{clipped} box(es) extend past their image: {advice}" if clipped else None):
        if note:
            log.warning("%s: %s", file.path, note)


def classes_unknown(
    model: nn.Module, names: Sequence[str], label_of: Sequence[int | None], known: Sequence[str]
) -> str | None:
    """What becomes of the classes of the file that the checkpoint does not know by name; None if it knows all."""
    unknown = [name for name, label in zip(names, label_of, strict=True) if label is None]
    if not unknown:
        return None
    found = f"the checkpoint does not know {shortened(unknown)}; it knows {shortened(known)}"
    if isinstance(model, MaskRcnn):
        return f"{found}: of Mask R-CNN's masks, one a class, theirs is that of the class it finds most probable"
    return f"{found}: their boxes get masks all the same, since CondInst's need no class"


def shortened(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def filled_in(
    model: nn.Module,
    config: Config,
    compute: Compute,
    label_of: Sequence[int | None],
    todo: dict[int, list[int]],
    record: ImageRecord,
    photo: Image.Image,
) -> Found:
    """A mask for each box to fill in a photo, predicted among all its boxes, and why it is the filled box if it is."""
    labels = [label_of[label] for label in record.labels]
    labeled = torch.tensor([label is not None for label in labels], dtype=torch.bool)
    of_network = np.array([label or 0 for label in labels], dtype=np.int64)
    boxes_alone = replace(record, labels=of_network, segmentations=(None,) * len(labels))
    batch = collate([resized(boxes_alone, photo, config.data)]).to(compute.device)
    predicted = masks_for_boxes(model, batch, config, labeled=labeled)
    found = []
    for instance in todo[record.image_id]:
        mask, reason = cut_to_box(predicted[instance], record.boxes[instance], record.height, record.width)
        encoding = {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}
        area = int(coco_mask.area(mask))
        found.append({"id": record.annotation_ids[instance], "segmentation": encoding, "area": area, "reason": reason})
    return found


def drawn(names: Sequence[str], record: ImageRecord, photo: Image.Image, found: Found) -> Image.Image:
    """All instances of a photo, with the masks that were found and those of the file."""
    new = {instance["id"]: instance for instance in found}
    masks, texts = [], []
    for annotation_id, label, segmentation in zip(
        record.annotation_ids, record.labels, record.segmentations, strict=True
    ):
        instance = new.get(annotation_id)
        masks.append(instance["segmentation"] if instance else encode(segmentation, record.height, record.width))
        texts.append(f"{names[label]} (box)" if instance and instance["reason"] else names[label])
    return draw_instances(photo, torch.from_numpy(record.boxes).float(), torch.arange(len(masks)), masks, texts)


def with_masks(content: dict[str, Any], found: Found) -> dict[str, Any]:
    """The content of a COCO file with the masks that were found; nothing else changes."""
    of_annotation = {instance["id"]: instance for instance in found}
    annotations = []
    for annotation in content["annotations"]:
        if (new := of_annotation.get(annotation["id"])) is not None:
            if is_filled_box(annotation):  # by an earlier run
                annotation = {key: value for key, value in annotation.items() if key not in FILLED_BOX}
            annotation = annotation | {"segmentation": new["segmentation"], "area": new["area"]}
            annotation |= FILLED_BOX if new["reason"] else {}
        annotations.append(annotation)
    return content | {"annotations": annotations}
