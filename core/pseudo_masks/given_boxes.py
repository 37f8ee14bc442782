"""Masks for given boxes: which prediction of the network is the mask of a box, and the filled box where none is."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor, nn
from torchvision.transforms.v2.functional import pil_to_tensor

from core.compute.precision import autocast
from core.config import Config, DataConfig
from core.datasets.annotation_file import ImageRecord
from core.datasets.annotations_in_view import view_annotations
from core.datasets.filled_box import encode_mask, filled_box
from core.datasets.transforms import apply_view, fixed_view
from core.evaluation.postprocess import paste_masks, paste_region_masks, rescale_boxes
from core.structures import Annotations, Batch, Predictions, Regions, Sample
from core.targets.assignment import assign, select_positives

NO_LOCATION = "no location to predict a mask"
EMPTY_MASK = "an empty mask in their box"


def resized(record: ImageRecord, image: Image.Image, data: DataConfig) -> Sample:
    """An image resized as for validation, not augmented, with all its instances, however small, without its crowds."""
    view = fixed_view(
        record.height, record.width, 0, 0, short_side=data.val_short_side, long_side_max=data.long_side_max
    )
    return Sample(
        image=pil_to_tensor(apply_view(image, view)),
        annotations=view_annotations(record.without_crowds(), view, smallest_side=0.0),
        image_id=record.image_id,
        original_size=(record.height, record.width),
        ignored_bottom_rows=0,
    )


@torch.inference_mode()
def masks_for_boxes(
    model: nn.Module, batch: Batch, config: Config, *, labeled: Bool[Tensor, " G"]
) -> list[dict | None]:
    """The mask that the network predicts for each annotated box of a batch of one image; None where there is none.

    CondInst: among the locations assigned to a box, the one of highest class probability * centerness predicts its
    mask. A location that several boxes contest goes to the smallest, as in training; a box that is left without any is
    assigned its locations as if it were alone, so that equal boxes get equal masks.

    Mask R-CNN: the box is the region. Of its masks, one per class, that of the label is taken, or where a box is not
    `labeled`, that of the most probable class.

    Returns COCO run-length encodings in the frame of the image file, not cropped to the boxes.
    """
    (annotations,) = batch.annotations
    (size,), (original_size,) = batch.image_sizes, batch.original_sizes
    with autocast(config.training.precision, batch.images.device):
        predictions = model(batch.images, batch.image_sizes)
        if isinstance(predictions, Regions):
            boxes = annotations.boxes
            probable = model.most_probable_classes(predictions, 0, boxes)
            labels = torch.where(labeled.to(boxes.device), annotations.labels, probable)
            probabilities = model.predict_masks(predictions, 0, boxes, labels).sigmoid()
            return paste_region_masks(probabilities, rescale_boxes(boxes, size, original_size), original_size)
    location_of = best_locations(predictions, [annotations], config)[0]
    for instance in range(len(annotations.boxes)):
        if instance not in location_of:
            alone = best_locations(predictions, [_only(annotations, instance)], config)[0]
            if alone:
                location_of[instance] = alone[0]
    masks = masks_at(model, predictions, batch, 0, location_of, config)
    return [masks.get(instance) for instance in range(len(annotations.boxes))]


def masks_at(
    model: nn.Module,
    predictions: Predictions,
    batch: Batch,
    image_index: int,
    location_of: dict[int, int],
    config: Config,
) -> dict[int, dict]:
    """The masks predicted at these locations of an image, by instance: run-length encodings in the file's frame."""
    device = predictions.locations.device
    location_index = torch.tensor(list(location_of.values()), dtype=torch.int64, device=device)
    with autocast(config.training.precision, device):
        mask_logits = model.predict_masks(predictions, torch.full_like(location_index, image_index), location_index)
    pasted = paste_masks(mask_logits, batch.image_sizes[image_index], batch.original_sizes[image_index])
    return dict(zip(location_of, pasted, strict=True))


def best_locations(predictions: Predictions, annotations: list[Annotations], config: Config) -> list[dict[int, int]]:
    """For each image, the location of highest class probability * centerness of each instance that has a location."""
    assignment = assign(predictions, annotations, config.assignment)
    selection = select_positives(
        assignment,
        predictions.class_logits,
        predictions.centerness_logits,
        annotations,
        selection="best_per_instance",
        max_masks=1,  # shared among the instances of an image, at least one each
        generator=torch.Generator(),
    )
    best: list[dict[int, int]] = [{} for _ in annotations]
    for image, location in zip(selection.image_index.tolist(), selection.location_index.tolist(), strict=True):
        best[image][int(assignment.instance_index[image, location])] = location
    return best


def cut_to_box(mask: dict | None, box: Float[np.ndarray, " 4"], height: int, width: int) -> tuple[dict, str | None]:
    """Crop a predicted mask to its box (xyxy, pixels of the file).

    Without a mask, or if nothing of it lies in the box, the filled box is returned with the reason.
    """
    filled = encode_mask(filled_box(box, height, width))
    if mask is None:
        return filled, NO_LOCATION
    cut = coco_mask.merge([mask, filled], intersect=True)
    return (cut, None) if coco_mask.area(cut) else (filled, EMPTY_MASK)


def _only(annotations: Annotations, instance: int) -> Annotations:
    """The annotations of one instance of an image."""
    kept = slice(instance, instance + 1)
    fields = ("boxes", "labels", "has_mask", "masks", "mask_centroids")
    return replace(annotations, **{name: getattr(annotations, name)[kept] for name in fields}, semantic_labels=None)
