"""Boxes that a training would take without a word although they are probably wrong.

What a few boxes have by chance is a note; a problem needs a share of them: COCO's files have some of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torchvision.ops import box_iou

from core.datasets.annotation_file import MAX_OVERHANG, AnnotationFile

NEARLY_EQUAL = 0.95  # intersection over union
MAX_REPEATED_SHARE = 0.01  # of the boxes that another repeats: more means that photos were annotated twice
MIN_CORNER_SHARE = 0.1  # of the boxes that fit their image only as x1, y1, x2, y2
MIN_CORNER_LOSS = 0.1  # share of its area that such a box loses as x, y, width, height; a loose hand costs less
NUM_SHOWN = 5  # annotation ids in a message


@dataclass(frozen=True)
class Finding:
    """Annotations of one image that share a flaw."""

    flaw: str
    image_id: int
    annotation_ids: tuple[int, ...]

    def __str__(self) -> str:
        return f"{' and '.join(map(str, self.annotation_ids))} (image {self.image_id})"


def listed(findings: Sequence[Finding]) -> str:
    """The annotation ids of the first findings, with their images."""
    more = f" and {len(findings) - NUM_SHOWN} more" if len(findings) > NUM_SHOWN else ""
    return f"annotations {'; '.join(map(str, findings[:NUM_SHOWN]))}{more}"


def outside(file: AnnotationFile) -> list[Finding]:
    """Boxes beyond their image, which are among the file's problems; one finding for each."""
    images = {record.image_id: record for record in file.images}
    found = []
    for entry in file.content["annotations"]:
        image_id, box = entry.get("image_id"), entry.get("bbox")
        record = images.get(image_id) if isinstance(image_id, int) else None
        if record and not entry.get("iscrowd") and entry["id"] not in record.annotation_ids and _is_box(box):
            found.append(Finding("outside of the photo", record.image_id, (entry["id"],)))
    return found


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box) and min(box[2:]) > 0


def past_the_image(file: AnnotationFile) -> list[Finding]:
    """Boxes that extend past their image by more than MAX_OVERHANG, and are clipped."""
    return _each(file, "past the photo", lambda boxes, size: (_overhang(boxes, size) > MAX_OVERHANG).any(1))


def corners(file: AnnotationFile) -> list[Finding]:
    """Boxes that extend past their image as x, y, width, height, and fit it as x1, y1, x2, y2."""

    def fits_as_corners_only(boxes: Float[np.ndarray, "G 4"], size: Float[np.ndarray, "2"]) -> np.ndarray:
        fits = (boxes[:, 2:] > boxes[:, :2]).all(1) & (boxes[:, 2:] <= size + MAX_OVERHANG).all(1)
        ends = np.minimum(boxes[:, :2] + boxes[:, 2:], size)
        kept = (ends - np.maximum(boxes[:, :2], 0)).prod(1) / boxes[:, 2:].prod(1)
        return fits & (kept < 1 - MIN_CORNER_LOSS)

    return _each(file, "corners, not x, y, width, height?", fits_as_corners_only)


def repeated(file: AnnotationFile) -> list[Finding]:
    """Pairs of equal boxes of one class in one image."""
    return _pairs(file, "drawn twice", lambda boxes, labels: (boxes[:, None] == boxes).all(2) & _same(labels))


def nearly_repeated(file: AnnotationFile) -> list[Finding]:
    """Pairs of boxes in one image with an IoU above NEARLY_EQUAL, without those of `repeated`."""

    def nearly(boxes: Float[np.ndarray, "G 4"], labels: np.ndarray) -> np.ndarray:
        tensors = torch.from_numpy(boxes)
        equal = (boxes[:, None] == boxes).all(2) & _same(labels)
        return (box_iou(tensors, tensors).numpy() > NEARLY_EQUAL) & ~equal

    return _pairs(file, "nearly equal", nearly)


def corner_problem(file: AnnotationFile) -> str | None:
    """What to say if the boxes, or those of some images, are corners, of which a training would learn nonsense."""
    found, past, count = corners(file), past_the_image(file), num_boxes(file)
    if not found or len(found) < max(MIN_CORNER_SHARE * count, len(past) / 2):
        return None
    return (
        f"{len(found)} of {count} boxes end beyond their image as x, y, width, height, but fit it as x1, y1, x2, y2, "
        f"such as {listed(found)}; if they are corners, write bbox as [x1, y1, x2 - x1, y2 - y1]"
    )


def repeated_problem(file: AnnotationFile) -> tuple[str, bool] | None:
    """What to say of `repeated` boxes, and whether it is a problem: each costs recall in an evaluation."""
    found, count = repeated(file), num_boxes(file)
    if not found:
        return None
    copies = {(finding.image_id, finding.annotation_ids[1]) for finding in found}  # of three, two are copies
    text = f"{len(copies)} of {count} boxes repeat another of their class and image exactly: {listed(found)}"
    return f"{text}; was a photo annotated twice? delete the copies", len(copies) > MAX_REPEATED_SHARE * count


def box_notes(file: AnnotationFile) -> list[str]:
    """What to say of boxes that are clipped or nearly equal."""
    notes, count = [], num_boxes(file)
    if past := past_the_image(file):
        by = f"by more than {MAX_OVERHANG:g} px and are clipped"
        notes.append(f"{len(past)} of {count} boxes extend past their image {by}: {listed(past)}")
    if close := nearly_repeated(file):
        what = f"pairs of boxes overlap by more than {NEARLY_EQUAL:.0%} (IoU)"
        notes.append(f"{len(close)} {what}; is each two objects? {listed(close)}")
    return notes


def num_boxes(file: AnnotationFile) -> int:
    return sum(len(record.labels) for record in file.images)


def _same(labels: np.ndarray) -> np.ndarray:
    return labels[:, None] == labels


def _overhang(boxes: Float[np.ndarray, "G 4"], size: Float[np.ndarray, "2"]) -> Float[np.ndarray, "G 4"]:
    return np.concatenate([-boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - size], axis=1)


def _boxes_in_file(file: AnnotationFile) -> dict[int, list[int | float]]:
    return {entry["id"]: entry["bbox"] for entry in file.content["annotations"] if _is_box(entry.get("bbox"))}


def _each(file: AnnotationFile, flaw: str, has_flaw: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[Finding]:
    """One finding for each instance whose box, x, y, width, height as in the file, has the flaw."""
    bbox_of, found = _boxes_in_file(file), []
    for record in file.images:
        if record.annotation_ids:
            boxes = np.array([bbox_of[i] for i in record.annotation_ids], dtype=np.float64)
            flawed = has_flaw(boxes, np.array([record.width, record.height], dtype=np.float64))
            found += [Finding(flaw, record.image_id, (record.annotation_ids[i],)) for i in flawed.nonzero()[0]]
    return found


def _pairs(file: AnnotationFile, flaw: str, related: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[Finding]:
    """One finding for each pair of an image's instances that is related, given boxes (xyxy) and labels."""
    found = []
    for record in file.images:
        if len(record.labels) > 1:
            for pair in np.argwhere(np.triu(related(record.boxes, record.labels), 1)).tolist():
                found.append(Finding(flaw, record.image_id, tuple(record.annotation_ids[i] for i in pair)))
    return found
