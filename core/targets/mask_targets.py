"""Build the targets of the mask losses from a batch."""

import torch

from core.compute.transfer import to_device
from core.config import LossConfig
from core.neighborhood import Neighborhood
from core.structures import MASK_STRIDE, Batch, MaskTargets
from core.targets.box_mask import box_masks
from core.targets.color_similarity import similar_edges
from core.targets.edge_membership import averaged_over_all, counted_by
from core.targets.edges import labeled_edges, supervised_edges
from core.targets.ignored import ignored_cells


def build_mask_targets(batch: Batch, loss: LossConfig) -> MaskTargets:
    """Build the targets of all mask terms that `loss` uses, on the device of the batch.

    Edges and color similarities are computed only if a term uses them; of both kinds, `loss.edge_membership` says which
    count. Ignored regions have no similar edges; labeled edges are kept there, since the mask of the instance says what
    their ends are.
    """
    h, w = batch.images.shape[2] // MASK_STRIDE, batch.images.shape[3] // MASK_STRIDE
    annotations, device = batch.annotations, batch.images.device
    neighborhood = Neighborhood(loss.neighborhood_size, loss.neighborhood_dilation)
    asked_for = {term.target for term in loss.used_terms.values()}
    in_boxes = box_masks(torch.cat([a.boxes for a in annotations]), h, w)
    masks = torch.cat([a.masks for a in annotations])
    ignored = ignored_cells(annotations)
    labeled = similar = None
    if "labeled_edges" in asked_for:
        labeled = counted_by(labeled_edges(masks, in_boxes, neighborhood), in_boxes, loss.edge_membership)
    if "similar_edges" in asked_for:
        in_any_box = None
        if loss.kept_edges is not None:
            of_each = in_boxes.split([len(a.boxes) for a in annotations])
            in_any_box = torch.stack([of_image.any(0) for of_image in of_each])
        of_images = similar_edges(
            batch.images,
            batch.image_sizes,
            batch.ignored_bottom_rows,
            neighborhood,
            loss.color_temperature,
            loss.color_threshold,
            ignored=ignored,
            kept_share=loss.kept_edges,
            in_boxes=in_any_box,
        )
        images = [image for image, a in enumerate(annotations) for _ in a.boxes]
        image_index = to_device(torch.tensor(images, dtype=torch.int64), device)
        similar = supervised_edges(in_boxes, of_images, image_index, neighborhood)
        similar = counted_by(similar, in_boxes, loss.edge_membership)
        if loss.pairwise_mean == "all_edges":
            similar = averaged_over_all(similar, in_boxes, neighborhood)
    return MaskTargets(
        has_mask=torch.cat([a.has_mask for a in annotations]),
        masks=masks,
        box_masks=in_boxes,
        labeled_edges=labeled,
        similar_edges=similar,
        semantic_labels=[a.semantic_labels for a in annotations],
        # The center of a stride-8 cell is the first pixel of the last of its 2 x 2 cells of the mask grid.
        semantic_ignored=None if ignored is None else ignored[:, 1::2, 1::2],
    )
