"""Self-training: a trained network, the teacher, predicts masks in the annotated boxes of its training set."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from pycocotools import mask as coco_mask
from torch import nn
from torchvision.transforms.v2.functional import pil_to_tensor
from tqdm import tqdm

from core.compute.compute import Compute
from core.compute.precision import autocast
from core.config import Config, DataConfig
from core.config.loss import terms_that_learn_from
from core.datasets.annotation_file import ImageRecord
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset, view_annotations
from core.datasets.photo import open_rgb
from core.datasets.transforms import apply_view, fixed_view
from core.evaluation.postprocess import paste_masks
from core.pseudo_masks.grabcut import encode_mask, filled_box, instances_without_mask
from core.structures import Batch, Predictions, Sample
from core.targets.assignment import assign, select_positives

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
            batch = collate([unaugmented(record, dataset.image_folder, config.data) for record in chunk]).to(device)
            with autocast(config.training.precision, device):
                predictions = model(batch.images, batch.image_sizes)
            for image_index, location_of in enumerate(best_locations(predictions, batch, config)):
                record = chunk[image_index]
                seen = [i for i in instances_without_mask(record) if i in location_of]
                location_index = torch.tensor([location_of[i] for i in seen], dtype=torch.int64, device=device)
                with autocast(config.training.precision, device):
                    mask_logits = model.predict_masks(
                        predictions, torch.full_like(location_index, image_index), location_index
                    )
                pasted = paste_masks(mask_logits, batch.image_sizes[image_index], batch.original_sizes[image_index])
                masks |= cut_to_boxes(record, dict(zip(seen, pasted, strict=True)), reasons)
            bar.update(len(chunk))
    for reason, count in reasons.items():
        log.warning("%d of %d instances have %s: their mask is the filled box", count, len(masks), reason)
    return masks


def cut_to_boxes(record: ImageRecord, predicted: dict[int, dict], reasons: Counter[str]) -> dict[int, dict]:
    """Crop predicted masks (by instance) to boxes; returns masks by annotation id. `reasons` counts filled boxes."""
    masks = {}
    for instance in instances_without_mask(record):
        box = encode_mask(filled_box(record.boxes[instance], record.height, record.width))
        mask = coco_mask.merge([predicted.get(instance, box), box], intersect=True)
        empty = coco_mask.area(mask) == 0
        masks[record.annotation_ids[instance]] = box if empty else mask
        if empty or instance not in predicted:
            reasons["an empty mask in their box" if empty else "no location to predict a mask"] += 1
    return masks


def batches(records: list[ImageRecord], size: int) -> Iterator[list[ImageRecord]]:
    return (records[start : start + size] for start in range(0, len(records), size))


def unaugmented(record: ImageRecord, image_folder: Path, data: DataConfig) -> Sample:
    """A training image resized as for validation, with all its instances, however small."""
    view = fixed_view(
        record.height, record.width, 0, 0, short_side=data.val_short_side, long_side_max=data.long_side_max
    )
    image = open_rgb(image_folder / record.file_name, record.width, record.height)
    return Sample(
        image=pil_to_tensor(apply_view(image, view)),
        annotations=view_annotations(record, view, smallest_side=0.0),
        image_id=record.image_id,
        original_size=(record.height, record.width),
        ignored_bottom_rows=0,
    )


def best_locations(predictions: Predictions, batch: Batch, config: Config) -> list[dict[int, int]]:
    """For each image, the location of highest class probability * centerness of each instance that has a location."""
    assignment = assign(predictions, batch.annotations, config.assignment)
    selection = select_positives(
        assignment,
        predictions.class_logits,
        predictions.centerness_logits,
        batch.annotations,
        selection="best_per_instance",
        max_masks=1,  # shared among the instances of an image, at least one each
        generator=torch.Generator(),
    )
    best: list[dict[int, int]] = [{} for _ in batch.annotations]
    for image, location in zip(selection.image_index.tolist(), selection.location_index.tolist(), strict=True):
        best[image][int(assignment.instance_index[image, location])] = location
    return best
