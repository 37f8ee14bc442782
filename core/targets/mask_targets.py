"""Everything the mask losses compare with, built from a batch."""

import torch

from core.neighborhood import Neighborhood
from core.structures import MASK_STRIDE, Batch, MaskTargets
from core.targets.box_mask import box_masks
from core.targets.color_similarity import color_similarity, trusted_cells


def build_mask_targets(
    batch: Batch, neighborhood: Neighborhood, color_threshold: float, color_temperature: float, *, needs_edges: bool
) -> MaskTargets:
    """Build the box masks, masks and similar edges of a batch, on the device of its images.

    An edge is similar from `color_threshold` on, inclusive; one to an untrusted neighbor never is, not even at
    threshold 0 (where AdelaiDet's comparison would let it in). Without `needs_edges` no color is looked at and no
    pixel has a similar edge.
    """
    h, w = batch.images.shape[2] // MASK_STRIDE, batch.images.shape[3] // MASK_STRIDE
    annotations, device = batch.annotations, batch.images.device
    if needs_edges:
        frame = (batch.image_sizes, batch.ignored_bottom_rows)
        similarity = color_similarity(batch.images, *frame, neighborhood, color_temperature)
        trusted = trusted_cells(*frame, h, w, device)
        similar_edges = (similarity >= color_threshold) & neighborhood.neighbors(trusted)
    else:
        similar_edges = torch.zeros((len(annotations), neighborhood.num_edges, h, w), dtype=torch.bool, device=device)
    counts = torch.tensor([len(a.boxes) for a in annotations], device=device)
    return MaskTargets(
        box_masks=box_masks(torch.cat([a.boxes for a in annotations]), h, w),
        masks=torch.cat([a.masks for a in annotations]),
        has_mask=torch.cat([a.has_mask for a in annotations]),
        image_index=torch.arange(len(annotations), device=device).repeat_interleave(counts),
        similar_edges=similar_edges,
        semantic_labels=[a.semantic_labels for a in annotations],
    )
