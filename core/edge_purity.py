"""Edge purity: how often two neighboring pixels of similar color share a label. Needs masks but no training."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from tqdm import tqdm

from core.datasets.batch import collate
from core.datasets.coco import CocoDataset
from core.neighborhood import Neighborhood
from core.structures import Batch
from core.targets.box_mask import box_masks
from core.targets.color_similarity import color_similarity, trusted_cells


@dataclass(frozen=True)
class EdgeCounts:
    """Counts of edges at the pixels of the box masks, as the pairwise loss counts them: once for each end in the box.

    An edge is kept at a threshold if its color similarity reaches it. It is pure if both pixels are inside the true
    mask of the instance, or both outside. `kept` and `kept_pure` have one count per threshold.
    """

    thresholds: tuple[float, ...]
    edges: int
    pure: int
    kept: tuple[int, ...]
    kept_pure: tuple[int, ...]
    num_images: int  # with an instance that has a mask
    num_instances: int

    @property
    def different(self) -> int:
        """Edges across the border of a mask: their pixels have different labels."""
        return self.edges - self.pure

    @property
    def kept_different(self) -> tuple[int, ...]:
        """Kept edges across the border of a mask: the pairwise loss is wrong about them."""
        return tuple(kept - pure for kept, pure in zip(self.kept, self.kept_pure, strict=True))


def edge_purity(
    dataset: CocoDataset,
    thresholds: Sequence[float],
    neighborhoods: Sequence[Neighborhood],
    temperature: float,
    *,
    progress: bool = False,
) -> dict[Neighborhood, EdgeCounts]:
    """Count kept and pure edges of all instances with a mask, for every neighborhood and threshold.

    Tests the argument for equation 8 of BoxInst (arXiv:2012.02310): edges above the color threshold can replace the
    true labels, because their two pixels almost always share a label. Each image is read once, in the data set's view.
    `thresholds` must increase; an edge is kept if its similarity is at least the threshold. Crowds are not counted, nor
    are edges with an end in an ignored region, of which the pairwise loss learns nothing.

    Raises:
        ValueError: if the thresholds do not increase, or no instance has a mask.
    """
    if any(low >= high for low, high in pairwise(thresholds)):
        raise ValueError(f"thresholds are {list(thresholds)}, expected increasing values")
    limits = torch.tensor(thresholds, dtype=torch.float32)  # the precision in which the loss compares
    histograms = {n: torch.zeros(len(limits) + 1, 2, dtype=torch.int64) for n in neighborhoods}
    num_images = num_instances = 0
    for index in tqdm(range(len(dataset)), desc="edge purity", unit="image", disable=not progress):
        batch = collate([dataset[index]])
        count = int(batch.annotations[0].has_mask.sum())
        if count == 0:
            continue
        num_images, num_instances = num_images + 1, num_instances + count
        for neighborhood, histogram in histograms.items():
            histogram += image_histogram(batch, limits, neighborhood, temperature)
    if num_instances == 0:
        raise ValueError(f"{dataset.annotation_path}: no instance has a mask, edge purity needs masks as ground truth")
    return {
        neighborhood: _counts(histogram, tuple(thresholds), num_images, num_instances)
        for neighborhood, histogram in histograms.items()
    }


def image_histogram(
    batch: Batch, limits: Float[Tensor, " limits"], neighborhood: Neighborhood, temperature: float
) -> Int64[Tensor, "limits+1 2"]:
    """Edges of a batch of one image: the row is the number of `limits` (increasing) reached, columns impure, pure."""
    annotations, h, w = batch.annotations[0], *batch.annotations[0].masks.shape[1:]
    frame = (batch.image_sizes, batch.ignored_bottom_rows)
    similarity = color_similarity(batch.images, *frame, neighborhood, temperature)[0]  # E h w
    counts = neighborhood.neighbors(trusted_cells(*frame, h, w, batch.images.device)[0])
    if annotations.ignored is not None:
        counts &= ~(annotations.ignored | neighborhood.neighbors(annotations.ignored))
    levels = len(limits) + 1
    level = torch.where(counts, torch.bucketize(similarity, limits, right=True), levels).flatten(1)  # E h*w

    histogram = torch.zeros(levels, 2, dtype=torch.int64)
    with_mask = annotations.has_mask
    for in_box, mask in zip(box_masks(annotations.boxes, h, w)[with_mask], annotations.masks[with_mask], strict=True):
        pixel = in_box.flatten().nonzero().squeeze(1)
        pure = (neighborhood.neighbors(mask) == mask).flatten(1).index_select(1, pixel)
        cell = 2 * level.index_select(1, pixel) + pure
        histogram += torch.bincount(cell.flatten(), minlength=2 * levels + 2).view(-1, 2)[:levels]
    return histogram


def _counts(
    histogram: Int64[Tensor, "levels 2"], thresholds: tuple[float, ...], num_images: int, num_instances: int
) -> EdgeCounts:
    at_least = histogram.flip(0).cumsum(0).flip(0)  # edges that reach at least this many thresholds
    edges, pure = at_least.sum(1).tolist(), at_least[:, 1].tolist()
    return EdgeCounts(thresholds, edges[0], pure[0], tuple(edges[1:]), tuple(pure[1:]), num_images, num_instances)
