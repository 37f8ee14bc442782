"""A COCO annotation file: read and checked once, then passed with its content to everything that uses it."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from core.datasets.annotation_checks import (
    annotation_problem,
    check_sections,
    evaluation_problems,
    located,
    normalized_boxes,
    repeated_ids,
)
from core.datasets.crowds import Crowd, is_crowd
from core.datasets.image_checks import class_problems, image_problem, is_class_name, is_missing
from core.datasets.masks import has_area, is_empty
from core.datasets.segmentation_checks import segmentation_problem
from core.files.json_file import read_json
from core.files.shown import shown

MAX_PROBLEMS_SHOWN = 5
MAX_OVERHANG = 2.0  # px; more than rounding can explain
MAX_EMPTY_SHARE = 0.01  # of the instances, with a mask without a pixel: large sets have a few
SMALLEST_MASK = 2.0  # px; where both sides of a box reach it, a mask without a pixel contradicts the box


@dataclass(frozen=True)
class ImageRecord:
    """One image, its G instances and its crowds; boxes without area are only counted."""

    image_id: int
    file_name: str  # relative to the image folder
    height: int
    width: int
    boxes: Float[np.ndarray, "G 4"]  # xyxy, clipped to the image
    labels: Int64[np.ndarray, " G"]
    annotation_ids: tuple[int, ...]
    segmentations: tuple[Any, ...]  # as in the file, unchecked; None if missing
    num_flat_boxes: int  # width or height 0: COCO has a few
    num_clipped_boxes: int  # extend past the image by more than MAX_OVERHANG
    crowds: tuple[Crowd, ...] = ()  # iscrowd or ignore 1

    def without_crowds(self) -> "ImageRecord":
        return replace(self, crowds=()) if self.crowds else self

    def segmentation_problems(self) -> list[str]:
        """Segmentations of the instances that cannot be rasterized."""
        return [
            located(annotation_id, self.image_id, problem)
            for annotation_id, segmentation in zip(self.annotation_ids, self.segmentations, strict=True)
            if segmentation is not None and (problem := segmentation_problem(segmentation, self.height, self.width))
        ]

    def empty_masks(self) -> list[str]:
        """Masks, all without `segmentation_problems`, that have no pixel although their box has."""
        return [
            located(annotation_id, self.image_id, f"mask has no pixel, but its box is {box[2]:g} x {box[3]:g} pixels")
            for annotation_id, segmentation, box in zip(
                self.annotation_ids, self.segmentations, self.boxes - self.boxes[:, [0, 1, 0, 1]], strict=True
            )
            if has_area(segmentation)
            and min(box[2:]) >= SMALLEST_MASK
            and is_empty(segmentation, self.height, self.width)
        ]


@dataclass(frozen=True)
class AnnotationFile:
    """The content of a COCO file, also as one record per image.

    Segmentations are not checked on reading but where masks are used (`ImageRecord.segmentation_problems`,
    `check_for_evaluation`). All other problems are in `problems`; callers that need a valid file use `raise_problems`.
    """

    path: Path  # names the file in messages
    image_folder: Path
    content: dict[str, Any] = field(repr=False)  # as in the JSON file; do not modify
    fingerprint: bytes  # SHA-256 of the file, or of content from memory
    categories: list[str]  # names by label; labels follow the order of the category ids
    category_ids: list[int]  # by label
    images: list[ImageRecord]  # by image id; those with a sound entry
    missing_images: list[str]  # file names not found in the image folder
    problems: list[str]

    @classmethod
    def read(
        cls, path: Path, image_folder: Path, *, annotated: bool = True, all_images: bool = True
    ) -> "AnnotationFile":
        """Read a file of boxes with or without masks, and look for its images in `image_folder`.

        `annotated` is false for a list of images only, such as COCO's image_info files: the section `annotations` may
        be missing, and is ignored if present. `all_images` is false where a missing image is no problem.

        Raises:
            ValueError: if the file cannot be read or lacks a section, or the folder does not exist.
        """
        content, fingerprint = read_json(path)
        if not annotated and isinstance(content, dict):
            content = content | {"annotations": []}
        check_sections(content, path, kind="instances" if annotated else "image_info")
        return cls._checked(content, path, image_folder, fingerprint, all_images=all_images)

    @classmethod
    def from_content(cls, content: dict[str, Any], *, path: Path, image_folder: Path) -> "AnnotationFile":
        """Build from content in memory; `path` is not read, it names the file in messages.

        Raises:
            ValueError: as `read`.
        """
        check_sections(content, path, kind="instances")
        return cls._checked(content, path, image_folder, hashlib.sha256(json.dumps(content).encode()).digest())

    @classmethod
    def _checked(
        cls, content: dict[str, Any], path: Path, image_folder: Path, fingerprint: bytes, *, all_images: bool = True
    ) -> "AnnotationFile":
        if not os.path.isdir(image_folder):  # false also for names that the file system refuses
            raise ValueError(f"{image_folder}: no such folder, expected the images of {path}")
        problems = repeated_ids(content) + class_problems(content["categories"])
        categories = sorted(content["categories"], key=lambda category: category["id"])
        names = [category["name"] for category in categories]
        label_of = {category["id"]: label for label, category in enumerate(categories)}
        images = {image["id"]: image for image in content["images"]}
        sound, missing_images = set(), []
        for image in images.values():
            if problem := image_problem(image):
                problems.append(problem)
                continue
            sound.add(image["id"])
            if is_missing(image_folder / image["file_name"]):
                missing_images.append(image["file_name"])
                if all_images:
                    problems.append(f"image {image['id']}: no file {image_folder / image['file_name']}")

        instances: dict[int, list[dict]] = {image_id: [] for image_id in images}
        crowds: dict[int, list[dict]] = {image_id: [] for image_id in images}
        flat = Counter()
        for annotation in content["annotations"]:
            image_id = annotation.get("image_id")
            problem = annotation_problem(annotation, images, label_of)
            if problem:
                problems.append(problem)
            elif is_crowd(annotation):
                crowds[image_id].append(annotation)
            elif min(annotation["bbox"][2:]) == 0:
                flat[image_id] += 1
            else:
                instances[image_id].append(annotation)
        problems += normalized_boxes([annotation for of_image in instances.values() for annotation in of_image])
        return cls(
            path=path,
            image_folder=image_folder,
            content=content,
            fingerprint=fingerprint,
            categories=[name if is_class_name(name) else shown(name) for name in names],
            category_ids=[category["id"] for category in categories],
            images=[_record(images[i], instances[i], label_of, crowds[i], flat[i]) for i in sorted(sound)],
            missing_images=missing_images,
            problems=problems,
        )

    def raise_problems(self, found: Sequence[str] = ()) -> None:
        """Reject a file with problems, its own or those `found` by another check.

        Raises:
            ValueError: if there are problems; names the file and the first few of them.
        """
        problems = [*self.problems, *found]
        if problems:
            rest = len(problems) - MAX_PROBLEMS_SHOWN
            shown = problems[:MAX_PROBLEMS_SHOWN] + ([f"... and {rest} more"] if rest > 0 else [])
            raise ValueError("\n  ".join([f"{self.path}: {len(problems)} problem(s)", *shown]))

    def mask_problems(self, records: Sequence[ImageRecord]) -> list[str]:
        """What is wrong with the masks of these images of the file, which may hide some: malformed segmentations.

        If there is none, masks without a pixel, if they are more than MAX_EMPTY_SHARE of the file's instances.
        """
        malformed = [problem for record in records for problem in record.segmentation_problems()]
        if malformed:
            return malformed
        empty = [problem for record in records for problem in record.empty_masks()]
        count = sum(len(record.labels) for record in self.images)
        return empty if len(empty) > MAX_EMPTY_SHARE * count else []

    def nothing_to_learn(self) -> str | None:
        """Why no image has a box to learn from; None if one has."""
        if any(len(record.labels) for record in self.images):
            return None
        crowds, flat = sum(len(r.crowds) for r in self.images), sum(r.num_flat_boxes for r in self.images)
        found = f"{len(self.images)} images, none of them with a box to learn from"
        if not crowds + flat:
            return found
        left_out = f"{crowds} crowds (iscrowd or ignore 1) and {flat} boxes of width or height 0 are left out"
        return f"{found}: {left_out}; expected neither for single objects"

    def check_for_evaluation(self) -> None:
        """Reject a file with areas or segmentations, including those of crowds, that pycocotools cannot evaluate.

        Raises:
            ValueError: if there are any; names the file, the annotation ids and the values found.
        """
        self.raise_problems()
        self.raise_problems(evaluation_problems(self.content))


def _record(
    image: dict, annotations: list[dict], label_of: dict[int, int], crowds: list[dict], flat: int
) -> ImageRecord:
    corners = _corners(annotations)
    limits = np.array([image["width"], image["height"]] * 2)
    clipped = np.clip(corners, 0, limits)
    crowd_boxes = np.clip(_corners(crowds), 0, limits).tolist()
    return ImageRecord(
        image_id=image["id"],
        file_name=image["file_name"],
        height=image["height"],
        width=image["width"],
        boxes=clipped,
        labels=np.array([label_of[annotation["category_id"]] for annotation in annotations], dtype=np.int64),
        annotation_ids=tuple(annotation["id"] for annotation in annotations),
        segmentations=tuple(annotation.get("segmentation") for annotation in annotations),
        num_flat_boxes=flat,
        num_clipped_boxes=int((np.abs(corners - clipped) > MAX_OVERHANG).any(1).sum()),
        crowds=tuple(
            Crowd(crowd["id"], tuple(box), crowd.get("segmentation"))
            for crowd, box in zip(crowds, crowd_boxes, strict=True)
        ),
    )


def _corners(annotations: list[dict]) -> Float[np.ndarray, "G 4"]:
    """The boxes of the file as xyxy."""
    boxes = np.array([annotation["bbox"] for annotation in annotations], dtype=np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
