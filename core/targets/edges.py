"""Supervised edges: pairs of neighboring pixels supervised by the instances of a batch, each listed once."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch.nn import functional

from core.neighborhood import Neighborhood
from core.structures import SupervisedEdges

# Cells of the box masks processed at a time: bounds the memory, and small chunks that fit into the cache are fastest.
CELLS_PER_CHUNK = 2**19


def supervised_edges(
    box_masks: Bool[Tensor, "T h w"],
    similar_edges: Bool[Tensor, "B E h w"],
    image_index: Int64[Tensor, " T"],
    neighborhood: Neighborhood,
) -> SupervisedEdges:
    """List the similar edges at the pixels of the box mask, for each of T annotated instances.

    Edges to pixels outside the grid are never listed, even if marked in `similar_edges`: their loss in AdelaiDet is 0.

    Raises:
        ValueError: if E differs from `neighborhood.num_edges`.
    """
    num_edges, h, w = similar_edges.shape[1:]
    if num_edges != neighborhood.num_edges:
        raise ValueError(f"similar_edges has {num_edges} edges per pixel, expected {neighborhood.num_edges}")
    device, cells, num_targets = box_masks.device, h * w, len(box_masks)
    on_grid = neighborhood.neighbors(torch.ones((h, w), dtype=torch.bool, device=device))
    similar = (similar_edges & on_grid).permute(0, 2, 3, 1).reshape(-1, num_edges).contiguous()  # B*h*w E
    step = torch.tensor([dy * w + dx for dy, dx in neighborhood.offsets], device=device)
    # From pixel i, edge e leads to pixel i + step[e]; edge E - 1 - e leads back. Its index in `similar`, less E * i:
    way_back = step * num_edges + torch.arange(num_edges - 1, -1, -1, device=device)

    pieces, possible = [], 0
    instances_per_chunk = max(CELLS_PER_CHUNK // cells, 1)
    for low in range(0, max(num_targets, 1), instances_per_chunk):  # at least once, also without instances
        in_box = box_masks[low : low + instances_per_chunk].flatten()
        pixel = in_box.nonzero().squeeze(1)
        target = pixel.div(cells, rounding_mode="floor") + low
        image_pixel = pixel + (image_index[target] - target + low) * cells
        row, edge = similar.index_select(0, image_pixel).nonzero().unbind(1)

        first, target, image_pixel = (values.index_select(0, row) for values in (pixel, target, image_pixel))
        second = first + step.index_select(0, edge)
        seen_back = similar.view(-1).index_select(0, image_pixel * num_edges + way_back.index_select(0, edge))
        counted_twice = in_box.index_select(0, second) & seen_back
        listed = (~counted_twice | (edge < num_edges // 2)).nonzero().squeeze(1)

        first, second, target, counted_twice = (
            values.index_select(0, listed) for values in (first, second, target, counted_twice)
        )
        origin = (target - low) * cells
        pieces.append(((first - origin).int(), (second - origin).int(), counted_twice.byte() + 1, target))
        possible += num_edges * len(pixel)

    first, second, weight, target = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    start = torch.searchsorted(target, torch.arange(num_targets + 1, device=device))
    counted_before = functional.pad(weight.cumsum(0, dtype=torch.int64), (1, 0))
    return SupervisedEdges(first, second, weight, counted_before[start].diff(), start, possible)


def labeled_edges(
    masks: Bool[Tensor, "T h w"], box_masks: Bool[Tensor, "T h w"], neighborhood: Neighborhood
) -> SupervisedEdges:
    """List all edges at the pixels of the box mask, regardless of color, with `same` from the true masks.

    These are the edges of the loss under full supervision (BoxInst, equation 5): all with at least one end in the box,
    of both kinds. As in `supervised_edges`, an edge with both ends in the box has weight 2.
    """
    h, w = masks.shape[1:]
    every = torch.ones((1, neighborhood.num_edges, h, w), dtype=torch.bool, device=masks.device)
    one_image = torch.zeros(len(masks), dtype=torch.int64, device=masks.device)
    edges = supervised_edges(box_masks, every, one_image, neighborhood)
    origin = torch.arange(len(masks), device=masks.device) * (h * w)
    origin = origin.repeat_interleave(edges.start.diff(), output_size=len(edges.first))
    labels = masks.flatten()
    return replace(edges, same=labels[origin + edges.first] == labels[origin + edges.second])
