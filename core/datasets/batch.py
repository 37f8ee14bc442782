"""Collate samples of different sizes into a batch, and send it from one process to another."""

import pickle
from dataclasses import replace
from io import BytesIO
from typing import Any

import torch
from torch.nn.functional import pad

from core.structures import BACKGROUND, MASK_FEATURE_STRIDE, MASK_STRIDE, Annotations, Batch, Sample, padded_side


def collate(samples: list[Sample]) -> Batch:
    """Pad samples at the right and the bottom to a batch: images with 0, masks with false, classes with BACKGROUND."""
    height, width = (padded_side(max(sample.image.shape[axis] for sample in samples)) for axis in (1, 2))
    images = torch.zeros(len(samples), 3, height, width, dtype=torch.uint8)
    for image, sample in zip(images, samples, strict=True):
        image[:, : sample.image.shape[1], : sample.image.shape[2]] = sample.image
    return Batch(
        images=images,
        annotations=[_padded(sample.annotations, height, width) for sample in samples],
        image_sizes=[tuple(sample.image.shape[1:]) for sample in samples],
        image_ids=[sample.image_id for sample in samples],
        original_sizes=[sample.original_size for sample in samples],
        ignored_bottom_rows=[sample.ignored_bottom_rows for sample in samples],
    )


def _padded(annotations: Annotations, height: int, width: int) -> Annotations:
    """The annotations of an image after padding to this size."""
    grids = annotations.masks
    missing = (0, width // MASK_STRIDE - grids.shape[2], 0, height // MASK_STRIDE - grids.shape[1])
    classes = annotations.semantic_labels
    if classes is not None:
        stride = MASK_FEATURE_STRIDE
        classes_missing = (0, width // stride - classes.shape[1], 0, height // stride - classes.shape[0])
        classes = pad(classes, classes_missing, value=BACKGROUND)
    ignored = annotations.ignored if annotations.ignored is None else pad(annotations.ignored, missing)
    return replace(annotations, masks=pad(grids, missing), semantic_labels=classes, ignored=ignored)


class _ArrayPickler(pickle.Pickler):
    """Pickles the content of tensors. Torch would send a file descriptor into shared memory for each."""

    def reducer_override(self, value: Any) -> Any:
        return (torch.from_numpy, (value.numpy(),)) if isinstance(value, torch.Tensor) else NotImplemented


def packed(content: Any) -> bytes:
    """A batch, or anything else that can be pickled, with its CPU tensors, as one piece for a pipe."""
    buffer = BytesIO()
    _ArrayPickler(buffer, pickle.HIGHEST_PROTOCOL).dump(content)
    return buffer.getvalue()


def unpacked(content: bytes) -> Any:
    """What `packed` was given, equal to the bit."""
    return pickle.loads(content)
