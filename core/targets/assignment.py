"""FCOS assignment of annotated instances to locations, and the selection of locations that get a mask."""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from core.compute.transfer import to_device
from core.config import AssignmentConfig
from core.geometry import ltrb_from_boxes
from core.structures import BACKGROUND, MASK_FEATURE_STRIDE, Annotations, Assignment, Predictions, Selection
from core.targets.ignored import ignored_cells, ignored_locations


def assign(predictions: Predictions, annotations: list[Annotations], settings: AssignmentConfig) -> Assignment:
    """`assign_locations` for the locations of these predictions; background in an ignored region is marked."""
    height, width = (MASK_FEATURE_STRIDE * side for side in predictions.mask_features.shape[2:])
    assignment = assign_locations(
        predictions.locations,
        predictions.level_index,
        predictions.strides,
        annotations,
        size_boundaries=settings.size_boundaries,
        center_radius=settings.center_radius,
        center=settings.center,
        padded_size=(height, width),
    )
    if (cells := ignored_cells(annotations)) is None:
        return assignment
    in_region = ignored_locations(cells, predictions.locations)
    return replace(assignment, ignored=in_region & (assignment.labels == BACKGROUND))


def assign_locations(
    locations: Float[Tensor, "P 2"],
    level_index: Int64[Tensor, " P"],
    strides: Int64[Tensor, " P"],
    annotations: list[Annotations],
    *,
    size_boundaries: tuple[float, ...],
    center_radius: float,
    center: Literal["box", "rasterized_box", "mask"],
    padded_size: tuple[int, int] | None = None,
) -> Assignment:
    """Assign to each location the smallest instance whose center is near it and whose size fits its level.

    FCOS (arXiv:1904.01355), section 3.2, with center sampling as in AdelaiDet:

    - location and center are less than `center_radius` strides apart in x and in y (0: anywhere), and the location
      is strictly inside the box;
    - max(ltrb) in input pixels is within the size boundaries of the level, both included, so that an object exactly at
      a boundary is positive on two levels;
    - the smallest box wins, the first of equal ones.

    `center` is the center of the box, of the rasterized box (AdelaiDet's BoxInst) or of the mask (its CondInst);
    `padded_size`, the (height, width) of the padded images, ends a rasterized box; by default the finest level says it,
    for which the host waits.
    A quirk of AdelaiDet is kept: the whole image is background if its first center has x = 0, which AdelaiDet takes for
    an empty mask. Ours have the center of the box (`mask_tensors.centers_of_mass`), so they are not affected, but a
    first mask or rasterized box entirely in pixel column 0 still is.
    """
    counts = [len(a.boxes) for a in annotations]
    if max(counts) == 0:
        nothing = level_index.new_full((len(annotations), len(locations)), BACKGROUND)
        return Assignment(nothing, nothing, locations.new_zeros((*nothing.shape, 4)))
    boxes = pad_sequence([a.boxes for a in annotations], batch_first=True)  # B G 4; padding boxes contain no location
    labels = pad_sequence([a.labels for a in annotations], batch_first=True)
    if center == "mask":
        centers = pad_sequence([a.mask_centroids for a in annotations], batch_first=True)
    elif center == "rasterized_box":
        if padded_size is None:  # the finest level tiles the padded image
            width, height = (locations[level_index == 0].amax(0) + strides[0] // 2).tolist()
            padded_size = (int(height), int(width))
        centers = rasterized_box_centers(boxes, padded_size)
    else:
        centers = (boxes[..., :2] + boxes[..., 2:]) / 2

    x, y = (axis[None, :, None] for axis in locations.unbind(1))  # 1 P 1
    x1, y1, x2, y2 = (side[:, None] for side in boxes.unbind(2))  # B 1 G
    left, top, right, bottom = x - x1, y - y1, x2 - x, y2 - y  # B P G
    horizontal, vertical = torch.minimum(left, right), torch.minimum(top, bottom)
    suits = torch.minimum(horizontal, vertical) > 0
    if center_radius > 0:
        radius = (strides * center_radius)[None, :, None]
        center_x, center_y = (axis[:, None] for axis in centers.unbind(2))
        # Compared with the sides of the center region, not as a distance, to round as AdelaiDet does.
        suits &= (x > center_x - radius) & (x < center_x + radius)
        suits &= (y > center_y - radius) & (y < center_y + radius)
        suits &= (centers[:, 0, 0] != 0)[:, None, None]
    largest = torch.maximum(torch.maximum(left, right), torch.maximum(top, bottom))
    bounds = torch.tensor([-1, *size_boundaries, float("inf")], dtype=locations.dtype)
    bounds = to_device(bounds, locations.device)
    suits &= (largest >= bounds[level_index][:, None]) & (largest <= bounds[level_index + 1][:, None])

    areas = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    smallest, instance = torch.where(suits, areas[:, None], float("inf")).min(dim=2)  # B P
    positive = smallest < float("inf")
    chosen = boxes.gather(1, instance[..., None].expand(-1, -1, 4))  # B P 4
    ltrb = ltrb_from_boxes(locations.expand(len(boxes), -1, -1), chosen) / strides[:, None]
    return Assignment(
        labels=torch.where(positive, labels.gather(1, instance), BACKGROUND),
        instance_index=torch.where(positive, instance, BACKGROUND),
        ltrb=torch.where(positive[..., None], ltrb, 0),
    )


def rasterized_box_centers(boxes: Float[Tensor, "B G 4"], padded_size: tuple[int, int]) -> Float[Tensor, "B G 2"]:
    """Center of mass of the pixels int(x1)..int(x2), int(y1)..int(y2) of each box within the padded image.

    Differs from the box center by up to a pixel. Summed row by row in float32 as in AdelaiDet: for boxes above some
    200x200 px, the rounding error of about 1e-5 px decides whether a location exactly on the side of the center region
    is inside.
    """
    height, width = padded_size
    first, last = boxes[..., :2].floor(), boxes[..., 2:].floor()
    last = torch.stack([last[..., 0].clamp(max=width - 1), last[..., 1].clamp(max=height - 1)], dim=-1)
    columns = last[..., 0] - first[..., 0] + 1
    row = torch.arange(height, dtype=boxes.dtype, device=boxes.device)
    in_row = (row >= first[..., 1:]) & (row <= last[..., 1:])  # B G H
    pixels = in_row * columns[..., None]
    sum_of_x = in_row * ((first[..., 0] + last[..., 0]) * columns / 2)[..., None]
    moments = torch.stack([sum_of_x.sum(-1), (pixels * row).sum(-1)], dim=-1)
    return moments / pixels.sum(-1, keepdim=True).clamp(min=1)


def select_positives(
    assignment: Assignment,
    class_logits: Float[Tensor, "B P K"],
    centerness_logits: Float[Tensor, "B P"],
    annotations: list[Annotations],
    *,
    selection: Literal["best_per_instance", "random"],
    max_masks: int,
    generator: torch.Generator,
) -> Selection:
    """Select the positives that get a mask in this step.

    `best_per_instance` (BoxInst): `max_masks` per image, shared evenly among its instances with positives, at least
    one each; an instance with more positives keeps those of highest class probability * centerness, best first.
    `random` (CondInst): `max_masks` per batch, drawn with the CPU generator.
    """
    image_index, location_index = assignment.positives()
    device, num_images = image_index.device, len(annotations)
    num_targets = [len(a.boxes) for a in annotations]
    counts = to_device(torch.tensor(num_targets), device)
    target_index = (counts.cumsum(0) - counts)[image_index] + assignment.instance_index[image_index, location_index]
    has_mask = torch.cat([a.has_mask for a in annotations])
    if selection == "random":
        kept = torch.arange(len(target_index), device=device)
        if len(kept) > max_masks:
            kept = to_device(torch.randperm(len(kept), generator=generator)[:max_masks], device)
        numbers = torch.cat([_occurrences(image_index[kept], num_images), has_mask[target_index[kept]].sum()[None]])
        *num_per_image, num_with_mask = numbers.tolist()
    else:
        class_probability = class_logits[image_index, location_index].detach().sigmoid().amax(1)
        score = class_probability * centerness_logits[image_index, location_index].detach().sigmoid()
        num_positives = _occurrences(target_index, sum(num_targets))  # T
        image_of_target = torch.arange(num_images, device=device)
        image_of_target = image_of_target.repeat_interleave(counts, output_size=sum(num_targets))
        instances_per_image = counts.new_zeros(num_images).index_add_(0, image_of_target, (num_positives > 0).long())
        share = (max_masks // instances_per_image.clamp(min=1)).clamp(min=1)[image_of_target]
        # Stable sorts: instances that keep all their positives keep them in order of location.
        crowded = (num_positives > share)[target_index]
        order = torch.where(crowded, score, 0).argsort(descending=True, stable=True)
        order = order[target_index[order].argsort(stable=True)]
        first = num_positives.cumsum(0) - num_positives
        rank = torch.arange(len(order), device=device) - first[target_index[order]]
        num_kept = torch.minimum(num_positives, share)
        per_image = counts.new_zeros(num_images).index_add_(0, image_of_target, num_kept)
        *num_per_image, num_with_mask = torch.cat([per_image, (num_kept * has_mask).sum()[None]]).tolist()
        is_kept = rank < share[target_index[order]]
        kept = order[is_kept.nonzero_static(size=sum(num_per_image)).squeeze(1)] if len(order) else order
    return Selection(image_index[kept], location_index[kept], target_index[kept], num_per_image, num_with_mask)


def _occurrences(index: Int64[Tensor, " N"], size: int) -> Int64[Tensor, " size"]:
    """How often each number below `size` occurs; torch's bincount would make the host wait for a GPU."""
    return index.new_zeros(size).index_add_(0, index, torch.ones_like(index))
