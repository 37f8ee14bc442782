"""A COCO file of boxes with a mask for each: the same file, filled in."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pycocotools import mask as coco_mask

from core.annotate.box_masks import BoxMasks
from core.annotate.each_photo import Found, PhotosDone, each_photo
from core.annotate.output import ANNOTATIONS, Pictures, output_folder
from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.masks import FILLED_BOX, encode, has_area, is_filled_box
from core.datasets.photo_folder import name_problem
from core.drawing import draw_instances

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
    source: BoxMasks,
    boxes: Path,
    images: Path,
    out: Path,
    *,
    replace_masks: bool = False,
    pictures: Pictures = "auto",
    progress: bool = False,
) -> Filled:
    """Write `out/annotations.json`: the file `boxes`, with `segmentation` and `area` of each box without a mask.

    Everything else is as in the file, in its order: ids, classes, keys and sections of any kind. Where the `source` has
    no mask for a box, its mask is the filled box and the annotation has `mask_source: box`; another run tries these
    again. `replace_masks` makes new masks for boxes that have one, too. Crowds and boxes of width or height 0 are left
    as they are, and so are the boxes of photos that cannot be read.

    Whatever ends the run, what was filled until then is written, and the next run with the same arguments goes on from
    there. A picture is drawn of each photo with a box to fill.

    Raises:
        ValueError: if the file of boxes cannot be read, or has problems other than missing photos, the folder has none
            of its photos, a file that no earlier run wrote would be replaced, or another process works in `out`.
    """
    file = AnnotationFile.read(boxes, images, all_images=False)
    file.raise_problems()
    if file.missing_images and len(file.missing_images) == len(file.images):
        missing = file.missing_images[0]
        raise ValueError(f"{images}: has none of the {len(file.images)} photos of {boxes}, such as {missing}")
    todo = boxes_to_fill(file, replace_masks=replace_masks)
    if Path(out, ANNOTATIONS).exists() and Path(out, ANNOTATIONS).samefile(boxes):
        raise ValueError(f"{boxes}: --out would replace this file itself, expected another folder")
    warn(file, source.unknown_classes(file.categories))

    records = [record for record in file.images if todo[record.image_id]]
    too_long = {record.file_name: name_problem(Path(record.file_name).name) for record in records if pictures != "none"}
    failed = {name: f"{images}: {problem}" for name, problem in too_long.items() if problem}
    records = [record for record in records if record.file_name not in failed]
    filled = Filled(
        num_boxes=sum(map(len, todo.values())),
        num_kept=sum(len(record.labels) - len(todo[record.image_id]) for record in file.images),
        num_crowds=sum(len(record.crowds) for record in file.images),
        num_flat=sum(record.num_flat_boxes for record in file.images),
        failed=failed,
    )
    done = PhotosDone(failed=failed)
    task = source.task | {"boxes": file.fingerprint.hex(), "replace_masks": replace_masks}
    with output_folder(out, pictures, task, [record.file_name for record in records]) as output:
        filled.started_over = output.progress.changed
        try:
            each_photo(
                records,
                images,
                output,
                partial(filled_in, source, file.categories, todo),
                partial(drawn, file.categories),
                done,
                key=lambda record: str(record.image_id),
                upright=False,
                progress=progress,
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
        ValueError: if a mask that is to be kept is malformed; those of crowds are not looked at.
    """
    fallbacks = {entry["id"] for entry in file.content["annotations"] if is_filled_box(entry)}
    if not replace_masks and (problems := file.mask_problems([r.without_crowds() for r in file.images])):
        try:
            file.raise_problems(problems)
        except ValueError as error:
            raise ValueError(
                f"{error}\n  correct them, or pass --replace-masks to make new masks for all boxes"
            ) from error
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


def filled_in(
    source: BoxMasks, names: Sequence[str], todo: dict[int, list[int]], record: ImageRecord, photo: Image.Image
) -> Found:
    """A mask for each box to fill in a photo, and why it is the filled box if it is."""
    chosen, found = todo[record.image_id], []
    for instance, (mask, reason) in zip(chosen, source.masks(record, photo, names, chosen), strict=True):
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
