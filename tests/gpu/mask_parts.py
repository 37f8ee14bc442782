"""Losses and targets of masks, and masks in images, as components (`tests.gpu.components`)."""

import numpy as np
import torch
from pycocotools import mask as coco_mask

from core.evaluation.postprocess import paste_masks, paste_region_masks
from core.geometry import paste_on_grid
from core.losses.dice import dice_loss
from core.losses.pairwise import pairwise_loss
from core.losses.projection import projection_loss
from core.model.mask_rcnn import mask_targets
from core.neighborhood import Neighborhood
from core.structures import SupervisedEdges
from core.targets.box_mask import box_masks
from core.targets.color_similarity import color_similarity, similar_edges
from core.targets.edges import labeled_edges, supervised_edges
from tests.gpu.case import Case, Results, gradients

NEIGHBORHOOD = Neighborhood(3, 2)


def projection(case: Case) -> Results:
    return _of_masks(case, projection_loss)


def dice(case: Case) -> Results:
    return _of_masks(case, dice_loss)


def _of_masks(case: Case, loss) -> Results:
    count = 2 * case.per_image
    logits, masks, index = case.moved(case.logits(2 * count), case.masks(count), torch.arange(2 * count) % count)
    return gradients(loss(logits, masks, index)[0], logits=logits)


def pairwise_of_colors(case: Case) -> Results:
    count = 2 * case.per_image
    return _pairwise(case, _edges(case), torch.arange(2 * count) % count)


def pairwise_of_labels(case: Case) -> Results:
    count = case.per_image
    masks, boxes = case.moved(case.masks(count), case.boxes(count))
    edges = labeled_edges(masks, box_masks(boxes.detach(), *case.grid), NEIGHBORHOOD)
    return _pairwise(case, edges, torch.arange(count))


def _pairwise(case: Case, edges: SupervisedEdges, target_index: torch.Tensor) -> Results:
    logits, index = case.moved(case.logits(len(target_index)), target_index)
    total, count = pairwise_loss(logits, edges, index)
    return gradients(total / count, logits=logits) | {"count": count}


def _edges(case: Case) -> SupervisedEdges:
    """Of colors computed on the CPU, so that the lists have the same edges."""
    count = 2 * case.per_image
    batch = Case("cpu", case.small).batch()
    similar = similar_edges(batch.images, batch.image_sizes, batch.ignored_bottom_rows, NEIGHBORHOOD, 2.0, 0.3)
    boxes, similar, image_index = case.moved(case.boxes(count), similar, torch.arange(count) // case.per_image)
    return supervised_edges(box_masks(boxes.detach(), *case.grid), similar, image_index, NEIGHBORHOOD)


def edges(case: Case) -> Results:
    listed = _edges(case)
    return {name: getattr(listed, name) for name in ("first", "second", "weight", "counted", "start")}


def colors(case: Case) -> Results:
    batch = case.batch()
    frame = (batch.images, batch.image_sizes, batch.ignored_bottom_rows, NEIGHBORHOOD, 2.0)
    return {"similarity": color_similarity(*frame), "similar": similar_edges(*frame, 0.3)}


def boxes_on_grid(case: Case) -> Results:
    (boxes,) = case.moved(case.boxes(2 * case.per_image))
    return {"masks": box_masks(boxes.detach(), *case.grid)}


def regions_on_grid(case: Case) -> Results:
    count = case.per_image
    logits, boxes = case.moved(torch.randn(count, 28, 28, generator=case.random()), case.boxes(count))
    pasted = paste_on_grid(logits, boxes.detach(), *case.grid, outside=-10.0)
    return gradients(pasted.square().mean(), logits=logits) | {"pasted": pasted}


def region_targets(case: Case) -> Results:
    count = case.per_image
    masks, boxes, index = case.moved(case.masks(count), case.boxes(count), torch.arange(count))
    return {"targets": mask_targets(masks, boxes.detach() + 3.0, index, 28)}


def pasting(case: Case) -> Results:
    """Masks of the grid and masks of regions, enlarged to another size than that of the input image."""
    height, width = case.size
    file = (height * 3 // 5, width * 3 // 5)
    count = case.per_image
    smooth = torch.where(case.masks(count), 2.0, -2.0) + 0.1 * case.logits(count)
    of_grid, of_regions, boxes = case.moved(
        smooth, torch.rand(count, 28, 28, generator=case.random()), case.boxes(count)
    )
    in_file = boxes.detach() * 0.6
    encoded = paste_masks(of_grid.detach(), (height - 7, width), file)
    of_boxes = paste_region_masks(of_regions.detach(), in_file, file)
    return {"of the grid": _decoded(encoded), "of regions": _decoded(of_boxes)}


def _decoded(encoded: list[dict]) -> torch.Tensor:
    return torch.from_numpy(np.stack([coco_mask.decode(mask) for mask in encoded])).bool()
