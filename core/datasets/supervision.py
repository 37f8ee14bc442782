"""Choose which training images are used, and which of their instances keep their mask."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from core.config import SupervisionConfig
from core.datasets.annotation_file import ImageRecord


def share_of_images(image_ids: Collection[int], ratio: float, seed: int) -> frozenset[int]:
    """Draw a share `ratio` of the images at random.

    With the same seed, subsets are nested: the images of a smaller ratio are among those of a larger one. The order of
    `image_ids` does not matter.

    Raises:
        ValueError: if the ratio is outside 0..1.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"the share of images is {ratio}, expected a number between 0 and 1")
    ids = sorted(image_ids)
    shuffled = np.random.default_rng(seed).permutation(len(ids))  # places: NumPy would round ids of 64 bits
    return frozenset(ids[place] for place in shuffled[: int(ratio * len(ids) + 0.5)])


def supervise(
    records: Sequence[ImageRecord], categories: Sequence[str], supervision: SupervisionConfig, seed: int
) -> list[ImageRecord]:
    """The images that are used, in order, with only those segmentations that training may see.

    Segmentations are kept in the images with masks, for the classes with masks; the others are dropped unread, so that
    a box-only instance has nothing but its box; crowds keep theirs, which teach no mask. With `boxes_first`, these are
    the images of the second phase: those with masks.

    Raises:
        ValueError: if `mask_categories` names an unknown class, or no image is left.
    """
    unknown = [name for name in supervision.mask_categories or () if name not in categories]
    if unknown:
        raise ValueError(f"supervision.mask_categories: unknown classes {unknown}, expected some of {list(categories)}")
    image_ids = [record.image_id for record in records]
    with_masks = share_of_images(image_ids, supervision.mask_ratio, seed)
    used = with_masks if supervision.boxes_first else share_of_images(image_ids, supervision.image_ratio, seed)
    if not used:
        field = "mask_ratio" if supervision.boxes_first else "image_ratio"
        share = getattr(supervision, field)
        raise ValueError(f"supervision.{field} is {share:g}: 0 of {len(records)} images, expected at least one")
    masked_labels = {
        label
        for label, name in enumerate(categories)
        if supervision.mask_categories is None or name in supervision.mask_categories
    }
    return [
        _with_masks_of(record, masked_labels if record.image_id in with_masks else set())
        for record in records
        if record.image_id in used
    ]


def first_phase(supervision: SupervisionConfig) -> SupervisionConfig:
    """The supervision of the first phase of `boxes_first`: all images that are used, without masks."""
    return supervision.model_copy(update={"mask_ratio": 0.0, "boxes_first": 0.0})


def _with_masks_of(record: ImageRecord, labels: set[int]) -> ImageRecord:
    kept = (
        segmentation if label in labels else None
        for label, segmentation in zip(record.labels.tolist(), record.segmentations, strict=True)
    )
    return replace(record, segmentations=tuple(kept))
