"""Convert raw predictions to detections: boxes and masks in the frame of the image file."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from pycocotools import mask as coco_mask
from torch import Tensor, nn
from torch.nn import functional

from core.aligned_upsample import aligned_upsample
from core.compute.transfer import to_device
from core.evaluation.compact_masks import compact_masks
from core.evaluation.selection import Survivors, select_detections
from core.structures import MASK_STRIDE, Batch, Detections, Predictions, Regions

# Pixels of enlarged masks in memory at a time, whatever the number of detections: float maps of 2 MB fit into a CPU's
# cache; for each pass over masks the host waits for a GPU.
PIXEL_BUDGETS = {"cpu": 2**19, "cuda": 2**26}
SMALLEST_COMPACT = 2**15  # pixels of a file; below it, to find the part of a mask costs more than to enlarge all of it


def rescale_boxes(
    boxes: Float[Tensor, "N 4"], image_size: tuple[int, int], original_size: tuple[int, int]
) -> Float[Tensor, "N 4"]:
    """Rescale boxes from the input image to the image file and clip them to it; sizes are (height, width)."""
    scale_y, scale_x = (original / resized for original, resized in zip(original_size, image_size, strict=True))
    height, width = original_size
    x = (boxes[:, 0::2] * scale_x).clamp(0, width)  # by numbers: a tensor of them would have to be copied to a GPU
    y = (boxes[:, 1::2] * scale_y).clamp(0, height)
    return torch.stack([x, y], dim=2).flatten(1)


def paste_masks(
    mask_logits: Float[Tensor, "N h w"],
    image_size: tuple[int, int],
    original_size: tuple[int, int],
    *,
    pixel_budget: int | None = None,
) -> list[dict]:
    """Enlarge masks from the grid of the padded input image to the image file, as COCO run-length encodings.

    CondInst (arXiv:2003.05664) as in AdelaiDet: probabilities, not logits, are upsampled by 4, cropped to the unpadded
    image, resized to the file and thresholded at 0.5. Masks are not cropped to their boxes.

    `image_size` and `original_size` are (height, width) of the unpadded input image and of the file. About
    `pixel_budget` pixels (default: by device) are enlarged at a time, at least one mask; the result does not depend on
    it. On a CPU `compact_masks` does the same in a part of the time, where it can.
    """
    pixel_budget = pixel_budget or PIXEL_BUDGETS[mask_logits.device.type]
    if mask_logits.device.type != "cpu" or original_size[0] * original_size[1] < SMALLEST_COMPACT:
        return paste_whole_masks(mask_logits, image_size, original_size, pixel_budget)
    masks = compact_masks(mask_logits, image_size, original_size)
    left = [i for i, mask in enumerate(masks) if mask is None]
    whole = paste_whole_masks(mask_logits[left], image_size, original_size, pixel_budget)
    for i, mask in zip(left, whole, strict=True):
        masks[i] = mask
    return masks


def paste_whole_masks(
    mask_logits: Float[Tensor, "N h w"], image_size: tuple[int, int], original_size: tuple[int, int], pixel_budget: int
) -> list[dict]:
    """`paste_masks` by enlarging all of every mask."""
    grid_height, grid_width = mask_logits.shape[-2:]
    pixels_per_mask = MASK_STRIDE**2 * grid_height * grid_width + original_size[0] * original_size[1]
    masks = []
    for logits in mask_logits.split(max(pixel_budget // pixels_per_mask, 1)):
        probabilities = aligned_upsample(logits[:, None].float().sigmoid(), MASK_STRIDE)
        probabilities = probabilities[..., : image_size[0], : image_size[1]]
        if image_size != original_size:
            probabilities = functional.interpolate(
                probabilities, size=original_size, mode="bilinear", align_corners=False
            )
        masks += encode_masks(probabilities[:, 0] > 0.5)
    return masks


def paste_region_masks(
    probabilities: Float[Tensor, "N m m"],
    boxes: Float[Tensor, "N 4"],
    original_size: tuple[int, int],
    *,
    pixel_budget: int | None = None,
) -> list[dict]:
    """Paste masks that are relative to boxes into the image file, as COCO run-length encodings.

    Each box is divided into m x m equal cells. Probabilities are interpolated between cell centers, fall to 0 outside
    the outer cells (half of it at the side of the box) and are thresholded at 0.5 at pixel centers. `original_size` is
    the (height, width) of the file; memory is bounded as in `paste_masks`.
    """
    height, width = original_size
    cells = probabilities.shape[-1]
    masks = []
    masks_at_a_time = max((pixel_budget or PIXEL_BUDGETS[probabilities.device.type]) // (height * width), 1)
    with torch.autocast(probabilities.device.type, enabled=False):
        for values, of_values in zip(probabilities.split(masks_at_a_time), boxes.split(masks_at_a_time), strict=True):
            x1, y1, x2, y2 = of_values.unbind(1)
            rows, columns = _cell_weights(y1, y2, cells, height), _cell_weights(x1, x2, cells, width)
            masks += encode_masks(rows @ values.float() @ columns.mT > 0.5)
    return masks


def _cell_weights(
    start: Float[Tensor, " N"], end: Float[Tensor, " N"], cells: int, pixels: int
) -> Float[Tensor, "N pixels cells"]:
    """Weight of each cell for each pixel in linear interpolation along an axis with cells from `start` to `end`."""
    middles = torch.arange(pixels, device=start.device) + 0.5
    position = (middles - start[:, None]) / (end - start)[:, None] * cells - 0.5  # in cells, 0: center of the first
    distance = (position[:, :, None] - torch.arange(cells, device=start.device)).abs()
    return (1 - distance).clamp(min=0)


def encode_masks(masks: Bool[Tensor, "N H W"]) -> list[dict]:
    """Encode masks in the frame of the image file as COCO run-length encodings (`size` (H, W), `counts` bytes)."""
    if masks.numel() == 0:
        return []
    # pycocotools is column-major: an (H, W, N) array in Fortran order is N W H in memory.
    columns_first = masks.transpose(1, 2).contiguous().cpu().numpy().view(np.uint8)
    return coco_mask.encode(columns_first.T)


def detect(
    model: nn.Module,
    batch: Batch,
    *,
    score_threshold: float,
    max_candidates: int,
    nms_threshold: float,
    max_detections: int,
) -> list[Detections]:
    """Detect the instances of each image of a batch: best first, in the frame of the image file, on the CPU.

    `model` is a `CondInst` or a `MaskRcnn`, or any module with the forward and `predict_masks` of either. Mask R-CNN
    has its own thresholds, so that only `max_detections` applies to its regions.
    Detections whose box is empty after clipping to the file are dropped. A mask may be empty.
    The caller sets the mode of the model and disables gradients (`evaluate` does both).
    """
    predictions = model(batch.images, batch.image_sizes)
    sizes = list(zip(batch.image_sizes, batch.original_sizes, strict=True))
    if isinstance(predictions, Regions):
        return [_finish_regions(model, predictions, i, *of_image, max_detections) for i, of_image in enumerate(sizes)]
    survivors = select_detections(
        predictions,
        score_threshold=score_threshold,
        max_candidates=max_candidates,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
    # One image at a time: memory is bounded by the detections of one image.
    return [_finish_locations(model, predictions, i, survivors[i], *of_image) for i, of_image in enumerate(sizes)]


def _finish_locations(
    model: nn.Module,
    predictions: Predictions,
    image_index: int,
    survivors: Survivors,
    image_size: tuple[int, int],
    original_size: tuple[int, int],
) -> Detections:
    """Detections of one image from those that survived NMS, whose masks are predicted here."""
    boxes = rescale_boxes(survivors.boxes, image_size, original_size)
    inside = torch.from_numpy(np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(1).numpy()))  # on the host already
    survivors, boxes = survivors[inside], boxes[inside]
    location_index = to_device(survivors.location_index, predictions.locations.device)
    num_per_image = [0] * len(predictions.class_logits)
    num_per_image[image_index] = len(location_index)
    mask_logits = model.predict_masks(
        predictions, torch.full_like(location_index, image_index), location_index, num_per_image
    )
    masks = paste_masks(mask_logits, image_size, original_size)
    return Detections(boxes, survivors.scores, survivors.labels, masks)


def _finish_regions(
    model: nn.Module,
    regions: Regions,
    image_index: int,
    image_size: tuple[int, int],
    original_size: tuple[int, int],
    max_detections: int,
) -> Detections:
    """Detections of one image from its best regions, whose masks are predicted here."""
    boxes, scores, labels = (
        values[image_index][:max_detections] for values in (regions.boxes, regions.scores, regions.labels)
    )
    in_file = rescale_boxes(boxes, image_size, original_size)
    (inside,) = (in_file[:, 2:] > in_file[:, :2]).all(1).nonzero(as_tuple=True)  # the host waits once, not four times
    boxes, scores, labels, in_file = boxes[inside], scores[inside], labels[inside], in_file[inside]
    masks = paste_region_masks(
        model.predict_masks(regions, image_index, boxes, labels).sigmoid(), in_file, original_size
    )
    return Detections(in_file.cpu(), scores.cpu(), labels.cpu(), masks)
