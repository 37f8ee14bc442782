"""Data sets of images and annotations in COCO format."""

import logging
from collections.abc import Callable
from functools import partial
from math import prod
from typing import Literal

from PIL import Image
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

from core.config import DataConfig, SupervisionConfig
from core.datasets import masks
from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.annotations_in_view import view_annotations
from core.datasets.configured_files import read_training_file, read_validation_file
from core.datasets.crowd_masks import crowd_mask_note, with_sound_crowds
from core.datasets.crowds import CROWDS_ARE
from core.datasets.image_cache import ImageCache
from core.datasets.photo import open_rgb
from core.datasets.small_boxes import SMALLEST_SIDE, too_small
from core.datasets.supervision import supervise
from core.datasets.transforms import (
    View,
    apply_color,
    apply_view,
    bottom_rows,
    fixed_view,
    largest_shape,
    random_view,
    resize_to,
)
from core.structures import Sample

log = logging.getLogger(__name__)


class CocoDataset(Dataset):
    """The images of one COCO-format file, each transformed by the view that `view_of` returns.

    Labels 0..K-1 follow the order of the file's category ids. Boxes without area (COCO has a few; a warning counts
    them) are left out. So are crowds, unless `crowds` is "ignore": then samples hold their regions (a warning names
    those whose mask is malformed, and whose box is ignored). `choose` receives the images and the class names and
    returns the images to use, without the segmentations that must stay hidden (default: all images, all segmentations).
    An instance without segmentation, or with an empty one, is box-only. Only what is used of the file is kept.

    The length, one epoch, is the number of images before `choose`: if fewer are used, some repeat in other views.

    An image of more pixels than its largest view, which `largest_of` returns, is reduced to that size once, and the
    views are resized from it (default: from the image of the file). So small data sets are decoded once, by whichever
    process comes first (`ImageCache`), and large photos take no more memory than their views. Where all views of an
    image are resized alike, the reduced image is the resized one, equal to the bit. Boxes and masks are transformed
    from the size of the file to the view at once.

    Raises:
        ValueError: if the file has problems or no images, or a segmentation in use is malformed; names the file, the
            annotation id and the value found.
    """

    def __init__(
        self,
        file: AnnotationFile,
        *,
        view_of: Callable[[int, int, int, int], View],  # height, width, epoch, index
        largest_of: Callable[[int, int], tuple[int, int]] | None = None,  # height, width
        choose: Callable[[list[ImageRecord], list[str]], list[ImageRecord]] = lambda records, categories: records,
        ignored_bottom_rows: int = 0,  # px of the image file
        crowds: Literal["background", "ignore"] = "background",
        drop_images_without_boxes: bool = False,
        drop_vanished_boxes: bool = False,  # boxes under 1 px after the view is applied
        semantic_labels: bool = False,  # whether samples include them
        upright: bool = False,  # apply EXIF orientation, see `open_rgb`
    ) -> None:
        self.annotation_path = file.path
        self.image_folder = file.image_folder
        self.view_of = view_of
        self.largest_of = largest_of
        self.ignored_bottom_rows = ignored_bottom_rows
        self.smallest_side = SMALLEST_SIDE if drop_vanished_boxes else 0.0
        self.semantic_labels = semantic_labels
        self.upright = upright
        self.epoch = 0

        file.raise_problems()
        if flat := sum(record.num_flat_boxes for record in file.images):
            log.warning("%s: %d box(es) of width or height 0 are left out", file.path, flat)
        if clipped := sum(record.num_clipped_boxes for record in file.images):
            advice = "clipped; check that boxes are x, y, width, height"
            log.warning("%s: %d box(es) extend past their image and are %s", file.path, clipped, advice)
        if drop_images_without_boxes and (lack := file.nothing_to_learn()):
            raise ValueError(f"{file.path}: {lack}")
        records = [record for record in file.images if len(record.labels) or not drop_images_without_boxes]
        if not records:
            raise ValueError(f"{file.path}: 0 images, expected at least one")
        self.epoch_length = len(records)
        if crowds == "background":
            records = [record.without_crowds() for record in records]
        records = choose(records, file.categories)
        if note := crowd_mask_note(records, crowds):
            log.warning("%s: %s", file.path, note)
        self.records = [with_sound_crowds(record) for record in records]
        self.categories, self.category_ids = file.categories, file.category_ids
        file.raise_problems(file.mask_problems(self.records))
        self.images = ImageCache({record.image_id: self._used_size(record) for record in self.records})

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
        """Set the epoch (from 0), which determines the random views."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.epoch_length

    def load_image(self, index: int) -> Image.Image:
        """The RGB image of the file, untransformed and not reduced (see `open_rgb`)."""
        record = self.records[index]
        return open_rgb(self.image_folder / record.file_name, record.width, record.height, upright=self.upright)

    def _used_size(self, record: ImageRecord) -> tuple[int, int]:
        """Height and width of the image from which views are resized."""
        size = (record.height, record.width)
        return min(size, self.largest_of(*size), key=prod) if self.largest_of else size

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        # Continue where the previous epoch ended, so that in the long run all images are used equally often.
        position = (self.epoch * len(self) + index) % len(self.records)
        record = self.records[position]
        view = self.view_of(record.height, record.width, self.epoch, index)
        image = self.images.get(record.image_id, lambda: resize_to(self.load_image(position), self._used_size(record)))
        image = apply_color(apply_view(image, view), view)
        return Sample(
            image=pil_to_tensor(image),
            annotations=view_annotations(record, view, self.smallest_side, semantic_labels=self.semantic_labels),
            image_id=record.image_id,
            original_size=(record.height, record.width),
            ignored_bottom_rows=bottom_rows(view, self.ignored_bottom_rows, record.height),
        )


def build_training_set(
    file: AnnotationFile, data: DataConfig, supervision: SupervisionConfig, seed: int, *, semantic_labels: bool = False
) -> CocoDataset:
    """The training images in random views; `seed` also determines which are used and which keep their masks."""
    dataset = CocoDataset(
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
        largest_of=partial(
            largest_shape,
            short_sides=data.short_sides,
            long_side_max=data.long_side_max,
            scale_range=data.scale_range,
        ),
        choose=partial(supervise, supervision=supervision, seed=seed),
        ignored_bottom_rows=data.ignored_bottom_rows,
        crowds=data.crowds,
        drop_images_without_boxes=data.drop_images_without_boxes,
        drop_vanished_boxes=True,
        semantic_labels=semantic_labels,
    )
    used = set(dataset.image_ids)
    if count := sum(len(record.crowds) for record in file.images if record.image_id in used):
        log.info("%s: %d crowd(s) are %s (data.crowds)", file.path, count, CROWDS_ARE[data.crowds])
    if small := too_small(dataset.records, data):
        log.warning("%s: %s", file.path, small)
    return dataset


def build_validation_set(
    file: AnnotationFile, data: DataConfig, *, crowds: Literal["background", "ignore"] = "background"
) -> CocoDataset:
    """All images of the file, resized for validation, without augmentation, with all masks.

    An evaluation finds crowds in the file: samples need their regions (`crowds` is "ignore") for other measurements.
    """
    return CocoDataset(
        file,
        view_of=partial(fixed_view, short_side=data.val_short_side, long_side_max=data.long_side_max),
        largest_of=partial(largest_shape, short_sides=(data.val_short_side,), long_side_max=data.long_side_max),
        ignored_bottom_rows=data.ignored_bottom_rows,
        crowds=crowds,
    )


def load_training_set(
    data: DataConfig, supervision: SupervisionConfig, seed: int, *, semantic_labels: bool = False
) -> CocoDataset:
    """Read the training file and build its data set (`build_training_set`)."""
    return build_training_set(read_training_file(data), data, supervision, seed, semantic_labels=semantic_labels)


def load_validation_set(data: DataConfig) -> CocoDataset:
    """Read the validation file and build its data set (`build_validation_set`)."""
    return build_validation_set(read_validation_file(data), data)
