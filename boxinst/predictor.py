"""A trained network as a function: an image in, instances with masks out as numpy arrays.

predictor = Predictor("runs/own/checkpoint.pt")
found = predictor("photo.jpg", min_score=0.5)
found.boxes, found.scores, found.class_names, found.masks
predictor.masks_for_boxes("photo.jpg", [[10, 20, 110, 220]]).masks
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy.typing import ArrayLike
from PIL import Image
from pycocotools import mask as coco_mask

from boxinst.image import ImageLike, rgb_image
from core.checkpoints.network import load_checkpoint_network
from core.compute.device import check_device
from core.compute.precision import autocast
from core.datasets.annotation_file import ImageRecord
from core.datasets.batch import collate
from core.evaluation.postprocess import detect
from core.pseudo_masks.close_views import masks_in_boxes
from core.pseudo_masks.given_boxes import resized
from core.structures import Batch


@dataclass(frozen=True)
class Prediction:
    """The instances found in an image, best first, in its pixels; an image without any has N = 0."""

    boxes: Float32[np.ndarray, "N 4"]  # xyxy, inside the image
    scores: Float32[np.ndarray, " N"]  # 0..1
    labels: Int64[np.ndarray, " N"]  # index in `Predictor.classes`
    class_names: list[str]
    encoded_masks: list[dict]  # COCO run-length encodings, as pycocotools takes them
    size: tuple[int, int]  # height, width of the image

    @property
    def masks(self) -> Bool[np.ndarray, "N H W"]:
        """The masks, decoded at each access: N bytes for every pixel of the image."""
        return decoded(self.encoded_masks, self.size)


@dataclass(frozen=True)
class BoxMasks:
    """One mask for each given box, in their order, cropped to the box, in pixels of the image."""

    filled: Bool[np.ndarray, " N"]  # true where the network has no mask for the box: its mask is the filled box
    encoded_masks: list[dict]  # COCO run-length encodings, as pycocotools takes them
    size: tuple[int, int]  # height, width of the image

    @property
    def masks(self) -> Bool[np.ndarray, "N H W"]:
        """The masks, decoded at each access: N bytes for every pixel of the image."""
        return decoded(self.encoded_masks, self.size)


class Predictor:
    """The network of a checkpoint that a training wrote, ready for images.

    Images are paths, PIL images or uint8 arrays (`boxinst.image.rgb_image`) and are resized as for validation. On the
    CPU the detections equal those of `python -m core.evaluation` and `python -m core.annotate` to the bit.

    `device` is cpu, cuda or cuda:N; by default the GPU if there is one.

    Raises:
        ValueError: if the file is not a checkpoint of ours, or there is no such device.
    """

    def __init__(self, checkpoint: str | os.PathLike, *, device: str | None = None) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        check_device(self.device)
        self.model, self.config, classes = load_checkpoint_network(Path(checkpoint), device=self.device)
        self.classes: tuple[str, ...] = tuple(entry["name"] for entry in classes)

    @overload
    def __call__(self, image: ImageLike, *, min_score: float = ..., batch_size: int = ...) -> Prediction: ...
    @overload
    def __call__(
        self, image: Sequence[ImageLike], *, min_score: float = ..., batch_size: int = ...
    ) -> list[Prediction]: ...
    def __call__(
        self, image: ImageLike | Sequence[ImageLike], *, min_score: float = 0.0, batch_size: int = 1
    ) -> Prediction | list[Prediction]:
        """Find the instances of an image, or of each image in a list or tuple.

        Instances with a score under `min_score` are left out; the config of the training has a threshold of its own
        (`inference.score_threshold`, 0.05 by default). Of a list, `batch_size` images go through the network together:
        faster on a GPU, but images of different sizes are padded to the largest, which changes their result a little.

        Raises:
            ValueError: for an image that cannot be read, or is none; in a list, with its position.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1")
        if not isinstance(image, list | tuple):
            return self._predict([rgb_image(image)], min_score)[0]
        predictions: list[Prediction] = []
        for start in range(0, len(image), batch_size):
            chunk = [_at(start + i, one) for i, one in enumerate(image[start : start + batch_size])]
            predictions += self._predict(chunk, min_score)
        return predictions

    def masks_for_boxes(
        self, image: ImageLike, boxes: ArrayLike, labels: ArrayLike | None = None, *, close_views: bool = True
    ) -> BoxMasks:
        """Predict one mask for each given box (N x 4, xyxy, pixels of the image): the object that the box encloses.

        No detection has to be matched: the network's best location in the middle of the box predicts the mask, which is
        cropped to the box (`core.pseudo_masks.given_boxes`). Where it has no location, as in a box of few pixels, or
        finds nothing in the box, the mask is the filled box, and `filled` says so.

        With `close_views` each box is looked at in an enlarged window around it (`core.pseudo_masks.close_views`):
        better masks of small boxes, for a pass of the network each.

        Boxes are clipped to the image. `labels` (N, indices in `classes`) matter to Mask R-CNN alone, whose masks
        differ by class; without them it takes its most probable class.

        Raises:
            ValueError: for an image that cannot be read, boxes that are not N x 4 finite numbers or enclose nothing of
                the image, or labels that are not one class for each box.
        """
        picture = rgb_image(image)
        size = (picture.height, picture.width)
        clipped = checked_boxes(boxes, *size)
        record = _record(picture, clipped, checked_labels(labels, len(clipped), len(self.classes)))
        cut = masks_in_boxes(
            self.model,
            record,
            picture,
            self.config,
            device=self.device,
            labeled=torch.full((len(clipped),), labels is not None),
            chosen=range(len(clipped)),
            close_views=close_views,
        )
        filled = np.array([reason is not None for _, reason in cut], dtype=bool)
        return BoxMasks(filled, [mask for mask, _ in cut], size)

    def _predict(self, pictures: list[Image.Image], min_score: float) -> list[Prediction]:
        nothing = np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
        batch = self._batch([(_record(picture, *nothing), picture) for picture in pictures])
        thresholds = self.config.inference.model_dump(exclude={"batch_size"})
        with torch.inference_mode(), autocast(self.config.training.precision, self.device):
            detections = detect(self.model, batch, **thresholds)
        predictions = []
        for found, size in zip(detections, batch.original_sizes, strict=True):
            kept = (found.scores >= min_score).nonzero().flatten().tolist()
            labels = found.labels[kept].numpy()
            predictions.append(
                Prediction(
                    boxes=found.boxes[kept].numpy(),
                    scores=found.scores[kept].numpy(),
                    labels=labels,
                    class_names=[self.classes[label] for label in labels],
                    encoded_masks=[found.masks[index] for index in kept],
                    size=size,
                )
            )
        return predictions

    def _batch(self, pictures: list[tuple[ImageRecord, Image.Image]]) -> Batch:
        return collate([resized(record, picture, self.config.data) for record, picture in pictures]).to(self.device)


def decoded(encoded: list[dict], size: tuple[int, int]) -> Bool[np.ndarray, "N H W"]:
    masks = np.zeros((len(encoded), *size), dtype=bool)
    for mask, encoding in zip(masks, encoded, strict=True):
        mask[:] = coco_mask.decode(encoding)
    return masks


def checked_boxes(boxes: ArrayLike, height: int, width: int) -> Float[np.ndarray, "N 4"]:
    """The boxes, clipped to an image of this size.

    Raises:
        ValueError: as `Predictor.masks_for_boxes`; names the first wrong box.
    """
    try:
        given = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"boxes are not N x 4 numbers: {error}") from error
    if given.size == 0:
        return np.zeros((0, 4))
    if given.ndim != 2 or given.shape[1] != 4:
        raise ValueError(f"boxes have shape {given.shape}, expected (N, 4): x1, y1, x2, y2 of each")
    clipped = np.clip(given, 0, [width, height, width, height])
    for index, (box, inside) in enumerate(zip(given, clipped, strict=True)):
        if not np.isfinite(box).all():
            raise ValueError(f"box {index} is {box.tolist()}, expected finite numbers")
        if not (inside[2:] > inside[:2]).all():
            raise ValueError(
                f"box {index} is {box.tolist()}, expected x1 < x2 and y1 < y2 (not x, y, width, height), and a part of "
                f"it inside the image of {width} x {height} pixels"
            )
    return clipped


def checked_labels(labels: ArrayLike | None, num_boxes: int, num_classes: int) -> Int64[np.ndarray, " N"]:
    """The labels; zeros if there are none.

    Raises:
        ValueError: as `Predictor.masks_for_boxes`.
    """
    if labels is None:
        return np.zeros(num_boxes, dtype=np.int64)
    given = np.asarray(labels)
    if given.shape != (num_boxes,):
        raise ValueError(f"labels have shape {given.shape}, expected ({num_boxes},): one for each box")
    if num_boxes and not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"labels are {given.dtype}, expected integers: indices in `classes`")
    if outside := [int(label) for label in given if not 0 <= label < num_classes]:
        raise ValueError(f"labels contain {outside[0]}, expected 0 to {num_classes - 1}: indices in `classes`")
    return given.astype(np.int64)


def _at(position: int, image: ImageLike) -> Image.Image:
    try:
        return rgb_image(image)
    except ValueError as error:
        raise ValueError(f"image {position} of the list: {error}") from error


def _record(picture: Image.Image, boxes: Float[np.ndarray, "N 4"], labels: Int64[np.ndarray, " N"]) -> ImageRecord:
    """The picture with these boxes, as the record of an image without a file."""
    return ImageRecord(
        image_id=0,
        file_name="",
        height=picture.height,
        width=picture.width,
        boxes=boxes,
        labels=labels,
        annotation_ids=tuple(range(len(boxes))),
        segmentations=(None,) * len(boxes),
        num_flat_boxes=0,
        num_clipped_boxes=0,
    )
