"""Images and annotations in COCO format: a data set of samples."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms.v2.functional import pil_to_tensor

from core.config import DataConfig, SupervisionConfig
from core.datasets import masks
from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.photo import open_rgb
from core.datasets.supervision import supervise
from core.datasets.transforms import (
    View,
    apply_color,
    apply_to_polygons,
    apply_view,
    bottom_rows,
    fixed_view,
    random_view,
)
from core.structures import Annotations, Sample, grid_size

SMALLEST_SIDE = 1.0  # px; a box that the view leaves narrower is no training target

PIXELS_KEPT = 2**26  # of decoded images, 3 bytes each: a small data set is read from its files once

log = logging.getLogger(__name__)


class CocoDataset(Dataset):
    """The images of one COCO-format file, seen through `view_of`. Of the file it keeps what it shows.

    Labels 0..K-1 follow the order of the file's category ids. Crowds and boxes without area (COCO has a few; they are
    counted in a warning) are never annotations. `choose` picks, from the images and the names of the categories, the
    images to use, less the segmentations that are not to be seen (the default: all of both). An instance without
    segmentation, or with an empty one, is box-only.

    Its length, an epoch, is the number of images before the choice: of fewer images some come again, in other views.

    Raises:
        ValueError: for a file with problems or without images, or segmentations to be used that are malformed; names
            the file, the annotation id, what was found.
    """

    def __init__(
        self,
        file: AnnotationFile,
        *,
        view_of: Callable[[int, int, int, int], View],  # height, width, epoch, index
        choose: Callable[[list[ImageRecord], list[str]], list[ImageRecord]] = lambda records, categories: records,
        ignored_bottom_rows: int = 0,  # px of the file
        drop_images_without_boxes: bool = False,
        drop_vanished_boxes: bool = False,  # boxes under 1 px once the view is taken
        semantic_labels: bool = False,  # whether the samples have them
        upright: bool = False,  # photos as viewers show them, see `open_rgb`
    ) -> None:
        self.annotation_path = file.path
        self.image_folder = file.image_folder
        self.view_of = view_of
        self.ignored_bottom_rows = ignored_bottom_rows
        self.smallest_side = SMALLEST_SIDE if drop_vanished_boxes else 0.0
        self.semantic_labels = semantic_labels
        self.upright = upright
        self.epoch = 0
        self.decoded: dict[int, Image.Image] = {}  # by place in `records`
        self.pixels_decoded = 0

        file.raise_problems()
        if flat := sum(record.num_flat_boxes for record in file.images):
            log.warning("%s: %d box(es) of width or height 0 are left out", file.path, flat)
        if clipped := sum(record.num_clipped_boxes for record in file.images):
            advice = "clipped; are the boxes x, y, width, height?"
            log.warning("%s: %d box(es) reach past their image and are %s", file.path, clipped, advice)
        records = [record for record in file.images if len(record.labels) or not drop_images_without_boxes]
        if not records:
            lack = "none of them with a box to learn from" if drop_images_without_boxes else "expected at least one"
            raise ValueError(f"{file.path}: {len(file.images)} images, {lack}")
        self.epoch_length = len(records)
        self.records = choose(records, file.categories)
        self.categories, self.category_ids = file.categories, file.category_ids
        file.raise_problems([problem for record in self.records for problem in record.segmentation_problems()])

    @property
    def image_ids(self) -> list[int]:
        return [record.image_id for record in self.records]

    @property
    def num_classes(self) -> int:
        return len(self.categories)

    @property
    def has_masks(self) -> bool:
        """Whether any instance has a mask that is used."""
        return any(masks.has_area(segmentation) for record in self.records for segmentation in record.segmentations)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (from 0) whose random views the samples show."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.epoch_length

    def load_image(self, index: int) -> Image.Image:
        """The RGB image of the file, untransformed (see `open_rgb`); not to be drawn on, for it may be given again."""
        if index in self.decoded:
            return self.decoded[index]
        record = self.records[index]
        path = self.image_folder / record.file_name
        image = open_rgb(path, record.width, record.height, upright=self.upright)
        if self.pixels_decoded + record.width * record.height <= PIXELS_KEPT:
            self.decoded[index] = image
            self.pixels_decoded += record.width * record.height
        return image

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        # Going on where the epoch before ended, so that in the long run every image comes equally often.
        position = (self.epoch * len(self) + index) % len(self.records)
        record = self.records[position]
        view = self.view_of(record.height, record.width, self.epoch, index)
        image = apply_color(apply_view(self.load_image(position), view), view)
        return Sample(
            image=pil_to_tensor(image),
            annotations=view_annotations(record, view, self.smallest_side, semantic_labels=self.semantic_labels),
            image_id=record.image_id,
            original_size=(record.height, record.width),
            ignored_bottom_rows=bottom_rows(view, self.ignored_bottom_rows, record.height),
        )


def view_annotations(
    record: ImageRecord, view: View, smallest_side: float, *, semantic_labels: bool = False
) -> Annotations:
    """Boxes and masks of the instances as the view shows them; boxes under `smallest_side` pixels are left out."""
    size = (record.height, record.width)
    boxes = apply_view(
        tv_tensors.BoundingBoxes(torch.from_numpy(record.boxes), format="XYXY", canvas_size=size), view
    ).as_subclass(torch.Tensor)
    kept = ((boxes[:, 2:] - boxes[:, :2]).amin(1) >= smallest_side).nonzero().flatten()
    boxes = boxes[kept].float()
    segmentations = [record.segmentations[i] for i in kept.tolist()]
    has_mask = torch.tensor([masks.has_area(segmentation) for segmentation in segmentations], dtype=torch.bool)

    height, width = view.size
    mask_grids = torch.zeros(len(kept), grid_size(height), grid_size(width), dtype=torch.bool)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    full = full_masks([s for s, used in zip(segmentations, has_mask, strict=True) if used], view, size)
    if has_mask.any():
        mask_grids[has_mask] = masks.sample_cell_centers(full)
        centers[has_mask] = masks.centers_of_mass(full, otherwise=centers[has_mask])
    labels = torch.from_numpy(record.labels)[kept]
    classes = masks.semantic_labels(full, labels) if semantic_labels and has_mask.all() else None
    return Annotations(boxes, labels, has_mask, mask_grids, centers, classes)


def full_masks(segmentations: list[masks.Segmentation], view: View, size: tuple[int, int]) -> torch.Tensor:
    """Full-resolution masks of 0 and 1 in the view of a file of this (height, width).

    Polygons are transformed, then rasterized (detectron2); run-length encodings are decoded, then transformed.
    """
    full = torch.zeros(len(segmentations), *view.size, dtype=torch.uint8)
    polygons = [i for i, segmentation in enumerate(segmentations) if masks.is_polygons(segmentation)]
    encoded = [i for i, segmentation in enumerate(segmentations) if not masks.is_polygons(segmentation)]
    placed = [masks.encode(apply_to_polygons(segmentations[i], view, size), *view.size) for i in polygons]
    full[polygons] = masks.decode(placed, *view.size)
    if encoded:
        full[encoded] = apply_view(masks.decode([masks.encode(segmentations[i], *size) for i in encoded], *size), view)
    return full


def read_training_file(data: DataConfig) -> AnnotationFile:
    """The annotation file of the training images; see `AnnotationFile.read`."""
    return AnnotationFile.read(Path(data.root, data.train_annotations), Path(data.root, data.train_images))


def read_validation_file(data: DataConfig) -> AnnotationFile:
    """The annotation file of the validation images; see `AnnotationFile.read`."""
    return AnnotationFile.read(Path(data.root, data.val_annotations), Path(data.root, data.val_images))


def build_training_set(
    file: AnnotationFile, data: DataConfig, supervision: SupervisionConfig, seed: int, *, semantic_labels: bool = False
) -> CocoDataset:
    """The training images in random views; which of them are used and keep their masks depends on `seed` as well."""
    return CocoDataset(
        file,
        view_of=partial(
            random_view,
            short_sides=data.short_sides,
            long_side_max=data.long_side_max,
            flip_probability=data.flip_probability,
            color_jitter=data.color_jitter,
            scale_range=data.scale_range,
            seed=seed,
        ),
        choose=partial(supervise, supervision=supervision, seed=seed),
        ignored_bottom_rows=data.ignored_bottom_rows,
        drop_images_without_boxes=data.drop_images_without_boxes,
        drop_vanished_boxes=True,
        semantic_labels=semantic_labels,
    )


def build_validation_set(file: AnnotationFile, data: DataConfig) -> CocoDataset:
    """Every image of the file, resized as for validation and otherwise as it is, with all its masks."""
    return CocoDataset(
        file,
        view_of=partial(fixed_view, short_side=data.val_short_side, long_side_max=data.long_side_max),
        ignored_bottom_rows=data.ignored_bottom_rows,
    )


def load_training_set(
    data: DataConfig, supervision: SupervisionConfig, seed: int, *, semantic_labels: bool = False
) -> CocoDataset:
    """The training set of a file that nobody else needs (`build_training_set`)."""
    return build_training_set(read_training_file(data), data, supervision, seed, semantic_labels=semantic_labels)


def load_validation_set(data: DataConfig) -> CocoDataset:
    """The validation set of a file that nobody else needs (`build_validation_set`)."""
    return build_validation_set(read_validation_file(data), data)
