"""Self-training: a trained network, the teacher, predicts masks in the annotated boxes of its training set."""

import logging
from collections import Counter
from collections.abc import Iterator

import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from core.compute.compute import Compute
from core.compute.precision import autocast
from core.config import Config
from core.config.loss import terms_that_learn_from
from core.datasets.annotation_file import ImageRecord
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset
from core.datasets.photo import open_rgb
from core.pseudo_masks.given_boxes import best_locations, cut_to_box, masks_at, resized
from core.pseudo_masks.grabcut import instances_without_mask

log = logging.getLogger(__name__)


def without_pseudo_masks(config: Config) -> Config:
    """The config of the teacher: the student's, without pseudo masks.

    If no mask is annotated, the terms that learn from masks are switched off. They would be 0; without them the
    teacher is the same training as the one on boxes only, which need not be run twice.
    """
    parts = {"supervision": config.supervision.model_copy(update={"pseudo_masks": None})}
    if config.supervision.mask_ratio == 0:
        no_masks = dict.fromkeys(terms_that_learn_from("masks"), 0.0)
        parts["loss"] = config.loss.model_copy(update=no_masks)
    return config.model_copy(update=parts)


@torch.inference_mode()
def teacher_masks(model: nn.Module, dataset: CocoDataset, config: Config, compute: Compute) -> dict[int, dict]:
    """Masks that the teacher predicts for the instances without one, by annotation id.

    Training images are resized as for validation, not augmented. The annotated box gives the position, so no detection
    has to be matched: among the locations assigned to an instance, the one with the highest class probability *
    centerness predicts its mask. The mask is enlarged as for a detection and cropped to the box.

    An instance without such a location, or with an empty mask in its box, gets the filled box; a warning counts both.
    `model` is a `CondInst`, or any module with its forward and `predict_masks`; it is left in eval mode.

    Returns COCO run-length encodings in the frame of the image file, `counts` bytes.
    """
    device = compute.device
    model.eval()
    masks: dict[int, dict] = {}
    reasons: Counter[str] = Counter()
    records = [record for record in dataset.records if instances_without_mask(record)]
    with tqdm(total=len(records), desc="teacher's masks", unit="image", disable=not compute.progress) as bar:
        for chunk in batches(records, config.inference.batch_size):
            batch = collate([resized(record, load(dataset, record), config.data) for record in chunk]).to(device)
            with autocast(config.training.precision, device):
                predictions = model(batch.images, batch.image_sizes)
            for image_index, location_of in enumerate(best_locations(predictions, batch.annotations, config)):
                record = chunk[image_index]
                seen = {i: location_of[i] for i in instances_without_mask(record) if i in location_of}
                masks |= cut_to_boxes(record, masks_at(model, predictions, batch, image_index, seen, config), reasons)
            bar.update(len(chunk))
    for reason, count in reasons.items():
        log.warning("%d of %d instances have %s: their mask is the filled box", count, len(masks), reason)
    return masks


def cut_to_boxes(record: ImageRecord, predicted: dict[int, dict], reasons: Counter[str]) -> dict[int, dict]:
    """Crop predicted masks (by instance) to boxes; returns masks by annotation id. `reasons` counts filled boxes."""
    masks = {}
    for instance in instances_without_mask(record):
        mask, reason = cut_to_box(predicted.get(instance), record.boxes[instance], record.height, record.width)
        masks[record.annotation_ids[instance]] = mask
        if reason:
            reasons[reason] += 1
    return masks


def batches(records: list[ImageRecord], size: int) -> Iterator[list[ImageRecord]]:
    return (records[start : start + size] for start in range(0, len(records), size))


def load(dataset: CocoDataset, record: ImageRecord) -> Image.Image:
    return open_rgb(dataset.image_folder / record.file_name, record.width, record.height)
