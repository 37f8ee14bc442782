"""Annotations of an image as they appear in a view of it: boxes, masks on the mask grid, ignored regions."""

from dataclasses import replace

import torch
from torchvision import tv_tensors

from core.datasets import mask_tensors, masks
from core.datasets.annotation_file import ImageRecord
from core.datasets.ignored_regions import ignored_boxes, ignored_cells
from core.datasets.transforms import View, apply_to_polygons, apply_view
from core.structures import Annotations, grid_size


def view_annotations(
    record: ImageRecord, view: View, smallest_side: float, *, semantic_labels: bool = False
) -> Annotations:
    """Boxes and masks of the instances and the ignored regions after the view.

    Boxes with a side under `smallest_side` px are left out.
    """
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
        mask_grids[has_mask] = mask_tensors.sample_cell_centers(full)
        centers[has_mask] = mask_tensors.centers_of_mass(full, otherwise=centers[has_mask])
    labels = torch.from_numpy(record.labels)[kept]
    classes = mask_tensors.semantic_labels(full, labels) if semantic_labels and has_mask.all() else None
    annotations = Annotations(boxes, labels, has_mask, mask_grids, centers, classes)
    if not record.crowds or not (ignored := ignored_cells(record.crowds, view, size)).any():
        return annotations
    return replace(annotations, ignored=ignored, ignored_boxes=ignored_boxes(record.crowds, view, size))


def full_masks(segmentations: list[masks.Segmentation], view: View, size: tuple[int, int]) -> torch.Tensor:
    """Full-resolution masks of 0 and 1 after the view; `size` is the (height, width) of the file.

    Polygons are transformed, then rasterized (detectron2); run-length encodings are decoded, then transformed.
    """
    full = torch.zeros(len(segmentations), *view.size, dtype=torch.uint8)
    polygons = [i for i, segmentation in enumerate(segmentations) if masks.is_polygons(segmentation)]
    placed = [masks.encode(apply_to_polygons(segmentations[i], view, size), *view.size) for i in polygons]
    full[polygons] = mask_tensors.decode(placed, *view.size)
    for i in set(range(len(segmentations))).difference(polygons):  # one by one: each is as large as the file
        full[i] = apply_view(mask_tensors.decode([masks.encode(segmentations[i], *size)], *size), view)[0]
    return full
