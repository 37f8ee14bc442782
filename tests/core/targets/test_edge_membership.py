"""Which edges count by the paper's words, in the released code and inside the box: hand-worked, and by a plain loop."""

from itertools import product

import pytest
import torch

from core.config import LossConfig
from core.losses.pairwise import negative_log_same, pairwise_loss
from core.neighborhood import Neighborhood
from core.targets.edge_membership import averaged_over_all, counted_by
from core.targets.edges import labeled_edges, supervised_edges
from core.targets.mask_targets import build_mask_targets
from tests.core.losses.test_pairwise import CLOSE, NEIGHBORHOODS, mixed_problem
from tests.core.targets.test_mask_targets import annotations, batch

# Three pixels in a row, the box over the first two: edge 0-1 is inside of it, edge 1-2 leaves it.
ROW = torch.tensor([[[True, True, False]]])
LOGITS = torch.tensor([[[2.0, -1.0, 3.0]]])
HERE = torch.tensor([0])


def all_edges_of(row: torch.Tensor) -> object:
    return supervised_edges(row, torch.ones(1, 8, *row.shape[1:], dtype=torch.bool), HERE, CLOSE)


@pytest.mark.parametrize(
    ("membership", "weights"),
    [
        ("each_end", {(0, 1): 2, (1, 2): 1}),  # pixel 0 sees 1, pixel 1 sees 0 and 2
        ("one_end", {(0, 1): 1, (1, 2): 1}),  # each has an end in the box
        ("both_ends", {(0, 1): 1}),  # pixel 2 is not in it
    ],
)
def test_the_edges_of_three_pixels_in_a_row(membership: str, weights: dict[tuple[int, int], int]) -> None:
    edges = counted_by(all_edges_of(ROW), ROW, membership)
    ends = [tuple(sorted(pair)) for pair in zip(edges.first.tolist(), edges.second.tolist(), strict=True)]
    assert dict(zip(ends, edges.weight.tolist(), strict=True)) == weights
    assert edges.counted.tolist() == [sum(weights.values())]
    assert edges.share_kept == 3 / 16  # as many as are similar, however they count

    total, count = pairwise_loss(LOGITS, edges, HERE)
    cost = {(0, 1): negative_log_same(LOGITS[0, 0, 0], LOGITS[0, 0, 1]),
            (1, 2): negative_log_same(LOGITS[0, 0, 1], LOGITS[0, 0, 2])}  # fmt: skip
    mean = sum(weight * cost[pair] for pair, weight in weights.items()) / sum(weights.values())
    assert (total / count).item() == pytest.approx(mean.item(), rel=1e-6)


def test_an_edge_that_leaves_the_box_weighs_twice_as_much_if_each_edge_counts_once() -> None:
    # In the gradient at pixel 2, which only the leaving edge reaches: 1/3 of the mean by the code, 1/2 by the paper.
    def gradient(membership: str) -> torch.Tensor:
        logits = LOGITS.clone().requires_grad_()
        total, count = pairwise_loss(logits, counted_by(all_edges_of(ROW), ROW, membership), HERE)
        (total / count).backward()
        return logits.grad[0, 0]

    by_code, by_paper, inside = (gradient(membership)[2].item() for membership in ("each_end", "one_end", "both_ends"))
    assert by_paper / by_code == pytest.approx(3 / 2)
    assert inside == 0


@pytest.mark.parametrize("membership", ["one_end", "both_ends"])
@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_counted_edges_are_those_of_a_plain_loop(neighborhood: Neighborhood, membership: str) -> None:
    _, box_masks, similar_edges, image_index, _ = mixed_problem(neighborhood, seed=0)
    edges = counted_by(supervised_edges(box_masks, similar_edges, image_index, neighborhood), box_masks, membership)
    sizes = []
    for target, box in enumerate(box_masks):
        expected = set()
        for (e, (dy, dx)), y, x in product(enumerate(neighborhood.offsets), range(9), range(11)):
            on_grid = 0 <= y + dy < 9 and 0 <= x + dx < 11
            counts = on_grid and (membership == "one_end" or box[y + dy, x + dx])
            if counts and box[y, x] and similar_edges[image_index[target], e, y, x]:
                expected.add(frozenset((y * 11 + x, (y + dy) * 11 + x + dx)))
        span = slice(int(edges.start[target]), int(edges.start[target + 1]))
        found = list(map(frozenset, zip(edges.first[span].tolist(), edges.second[span].tolist(), strict=True)))
        assert set(found) == expected
        assert len(found) == edges.counted[target] == len(expected)
        sizes.append(len(expected))
    assert max(sizes) > 0
    assert edges.weight.unique().tolist() == [1]


def test_true_labels_stay_with_their_edges() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(2, 5, 6, generator=generator) < 0.5
    boxes = torch.zeros_like(masks)
    boxes[0, 1:4, 1:4], boxes[1, :, 3:] = True, True
    edges = counted_by(labeled_edges(masks, boxes, CLOSE), boxes, "both_ends")
    # A 3x3 box has 6 horizontal, 6 vertical and 8 diagonal pairs inside; a 5x3 box has 10, 12 and 16.
    assert edges.counted.tolist() == [20, 38]
    assert len(edges.same) == len(edges.first) == 58
    for target in range(2):
        for i in range(int(edges.start[target]), int(edges.start[target + 1])):
            labels = masks[target].flatten()[[int(edges.first[i]), int(edges.second[i])]]
            assert edges.same[i] == (labels[0] == labels[1])


@pytest.mark.parametrize("membership", ["each_end", "one_end", "both_ends"])
def test_without_boxes_there_are_no_edges(membership: str) -> None:
    none = torch.zeros(0, 3, 3, dtype=torch.bool)
    similar = torch.ones(1, 8, 3, 3, dtype=torch.bool)
    edges = counted_by(supervised_edges(none, similar, torch.zeros(0, dtype=torch.int64), CLOSE), none, membership)
    assert (len(edges.first), edges.start.tolist(), edges.counted.tolist()) == (0, [0], [])


def test_the_setting_counts_the_edges_of_both_pairwise_terms() -> None:
    # Of 2 x 3 cells the box has the left four: 2 horizontal, 2 vertical and 2 diagonal pairs inside of it, and 2
    # horizontal and 2 diagonal ones leave it. All cells are labeled; of similar color are the cells of one column.
    image = batch(annotations([], 2, 3), annotations([[0, 0, 7, 8]], 2, 3))
    loss = {"neighborhood_dilation": 1, "mask_pairwise": 1.0, "pairwise": 1.0}
    counts = {}
    for membership in ("each_end", "one_end", "both_ends"):
        targets = build_mask_targets(image, LossConfig(**loss, edge_membership=membership))
        counts[membership] = (targets.labeled_edges.counted.item(), targets.similar_edges.counted.item())
    assert counts == {"each_end": (2 * 6 + 4, 4), "one_end": (6 + 4, 2), "both_ends": (6, 2)}


def test_the_mean_over_all_edges_divides_the_same_sum_by_every_edge_at_the_pixels_of_the_box() -> None:
    # As above: 4 edges of similar color are counted, of the 8 at each of the 4 pixels of the box.
    image = batch(annotations([], 2, 3), annotations([[0, 0, 7, 8]], 2, 3))
    loss = {"neighborhood_dilation": 1, "pairwise": 1.0}
    logits, target_index = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(1).long()
    found = {}
    for mean in ("supervised_edges", "all_edges"):
        edges = build_mask_targets(image, LossConfig(**loss, pairwise_mean=mean)).similar_edges
        found[mean] = pairwise_loss(logits, edges, target_index)
        assert float(edges.share_kept) == 4 / 32
    assert [int(count) for _, count in found.values()] == [4, 32]
    assert torch.equal(found["all_edges"][0], found["supervised_edges"][0])


def test_the_mean_over_all_edges_without_boxes() -> None:
    none = torch.zeros(0, 3, 3, dtype=torch.bool)
    similar = torch.ones(1, 8, 3, 3, dtype=torch.bool)
    edges = supervised_edges(none, similar, torch.zeros(0, dtype=torch.int64), CLOSE)
    assert averaged_over_all(edges, none, CLOSE).counted.tolist() == []
