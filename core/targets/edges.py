"""Supervised edges: pairs of neighboring pixels supervised by the instances of a batch, each listed once."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from core.compute.transfer import to_device
from core.neighborhood import Neighborhood
from core.structures import SupervisedEdges

# Cells of the box masks processed at a time: bounds the memory, and small chunks that fit into the cache are fastest.
# On CUDA all are processed at once: each chunk would wait for the device twice.
CELLS_PER_CHUNK = 2**20
SIMILAR, MUTUAL_BIT = 1, 1  # of an edge at a pixel: bit 0 is set if it is similar, bit 1 if from both of its ends


def supervised_edges(
    box_masks: Bool[Tensor, "T h w"],
    similar_edges: Bool[Tensor, "B E h w"],
    image_index: Int64[Tensor, " T"],
    neighborhood: Neighborhood,
) -> SupervisedEdges:
    """List the similar edges at the pixels of the box mask, for each of T annotated instances.

    Edges to pixels outside the grid are never listed, even if marked in `similar_edges`: their loss in AdelaiDet is 0.
    An edge that both of its ends see is listed at the later end, in row-major order, with weight 2.

    Raises:
        ValueError: if E differs from `neighborhood.num_edges`.
    """
    num_edges, h, w = similar_edges.shape[1:]
    if num_edges != neighborhood.num_edges:
        raise ValueError(f"similar_edges has {num_edges} edges per pixel, expected {neighborhood.num_edges}")
    device, cells, num_targets, half = box_masks.device, h * w, len(box_masks), num_edges // 2
    edges_of = _edge_table(similar_edges, neighborhood)
    # From pixel i, edge e leads to pixel i + step[e]: to an earlier one if e < half, else to a later one.
    step = to_device(torch.tensor([dy * w + dx for dy, dx in neighborhood.offsets]), device)
    beyond = neighborhood.margin * (w + 1)  # farther leads no step: those from the grid's border end nowhere

    pieces, possible = [], 0
    instances_per_chunk = max(CELLS_PER_CHUNK // cells, 1) if device.type == "cpu" else max(num_targets, 1)
    for low in range(0, max(num_targets, 1), instances_per_chunk):  # at least once, also without instances
        of_chunk = image_index[low : low + instances_per_chunk]
        in_box = box_masks[low : low + instances_per_chunk].flatten().byte()
        pixel = _indices_where(in_box)
        target = pixel.div(cells, rounding_mode="floor")
        to_image = (of_chunk - torch.arange(len(of_chunk), device=device)) * cells
        at_pixel = edges_of.index_select(0, pixel + to_image.index_select(0, target))
        later = (pixel[:, None] + (step[half:] + beyond)).flatten()
        later_in_box = functional.pad(in_box, (beyond, beyond)).index_select(0, later).view(-1, half)
        is_listed = at_pixel & SIMILAR
        is_listed[:, half:] &= ~((at_pixel[:, half:] >> MUTUAL_BIT) & later_in_box)

        listed = _indices_where(is_listed)
        row = listed.div(num_edges, rounding_mode="floor")
        first, target = pixel.index_select(0, row), target.index_select(0, row)
        second = first + step.index_select(0, listed - row * num_edges)
        seen_twice = (at_pixel.flatten().index_select(0, listed) >> MUTUAL_BIT) & in_box.index_select(0, second)
        origin = target * cells
        pieces.append(((first - origin).int(), (second - origin).int(), seen_twice + 1, target + low))
        possible += num_edges * len(pixel)

    first, second, weight, target = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    start = torch.searchsorted(target, torch.arange(num_targets + 1, device=device))
    counted_before = functional.pad(weight.cumsum(0, dtype=torch.int64), (1, 0))
    return SupervisedEdges(first, second, weight, counted_before[start].diff(), start, possible)


def _edge_table(similar_edges: Bool[Tensor, "B E h w"], neighborhood: Neighborhood) -> UInt8[Tensor, "B*h*w E"]:
    """Of each pixel and edge, as bits: whether it is similar and ends on the grid, and whether its other end agrees."""
    num_edges, h, w = similar_edges.shape[1:]
    margin = neighborhood.margin
    on_grid = neighborhood.neighbors(torch.ones((h, w), dtype=torch.bool, device=similar_edges.device))
    similar = (similar_edges & on_grid).byte()
    padded = functional.pad(similar, (margin, margin, margin, margin))
    table = torch.empty_like(similar, memory_format=torch.channels_last)
    for e, (dy, dx) in enumerate(neighborhood.offsets):  # edge E - 1 - e leads back
        back = padded[:, num_edges - 1 - e, margin + dy : margin + dy + h, margin + dx : margin + dx + w]
        table[:, e] = similar[:, e] * (SIMILAR + (back << MUTUAL_BIT))
    return table.permute(0, 2, 3, 1).reshape(-1, num_edges)


def _indices_where(values: UInt8[Tensor, "..."]) -> Int64[Tensor, " n"]:
    """Flat indices of the values that are not 0. On the CPU by numpy, whose search is six times as fast as torch's."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(values.numpy().view(bool)))
    return values.flatten().nonzero().squeeze(1)


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
