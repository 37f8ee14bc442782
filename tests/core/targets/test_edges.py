"""Which edges a batch's instances supervise, and how often each counts."""

from itertools import product

import pytest
import torch

from core.neighborhood import Neighborhood
from core.targets.edges import supervised_edges
from tests.core.losses.test_pairwise import CLOSE, NEIGHBORHOODS, mixed_problem


def test_an_edge_counts_once_for_each_end_in_the_box() -> None:
    box_masks = torch.tensor([[[True, True, False]]])
    edges = supervised_edges(box_masks, torch.ones(1, 8, 1, 3, dtype=torch.bool), torch.tensor([0]), CLOSE)
    ends = zip(edges.first.tolist(), edges.second.tolist(), strict=True)
    weight_of_pair = dict(zip(map(frozenset, ends), edges.weight.tolist(), strict=True))
    assert weight_of_pair == {frozenset((0, 1)): 2, frozenset((1, 2)): 1}
    assert edges.counted.tolist() == [3]
    assert edges.share_kept == 3 / 16  # two box pixels of eight edges each


def test_an_edge_that_only_one_end_sees_counts_once() -> None:
    similar = torch.zeros(1, 8, 1, 2, dtype=torch.bool)
    similar[0, CLOSE.offsets.index((0, 1)), 0, 0] = True  # from the left pixel to the right one, not back
    for direction, offset in ((similar, (0, 1)), (similar.flip(1, 3), (0, -1))):
        edges = supervised_edges(torch.ones(1, 1, 2, dtype=torch.bool), direction, torch.tensor([0]), CLOSE)
        assert edges.counted.tolist() == [1]
        assert (edges.second - edges.first).tolist() == [offset[1]]


def test_border_edges_cost_nothing_and_are_not_counted() -> None:
    everything = torch.ones(1, 8, 3, 3, dtype=torch.bool)
    edges = supervised_edges(torch.ones(1, 3, 3, dtype=torch.bool), everything, torch.tensor([0]), CLOSE)
    # A 3x3 grid has 6 horizontal, 6 vertical and 8 diagonal pairs.
    assert len(edges.first) == 20
    assert edges.counted.tolist() == [40]


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_the_listed_edges_are_those_of_a_plain_loop(neighborhood: Neighborhood) -> None:
    _, box_masks, similar_edges, image_index, _ = mixed_problem(neighborhood, seed=0)
    edges = supervised_edges(box_masks, similar_edges, image_index, neighborhood)
    for target in range(4):
        expected: dict[frozenset[int], int] = {}
        for (e, (dy, dx)), y, x in product(enumerate(neighborhood.offsets), range(9), range(11)):
            on_grid = 0 <= y + dy < 9 and 0 <= x + dx < 11
            if on_grid and box_masks[target, y, x] and similar_edges[image_index[target], e, y, x]:
                pair = frozenset((y * 11 + x, (y + dy) * 11 + x + dx))
                expected[pair] = expected.get(pair, 0) + 1
        span = slice(int(edges.start[target]), int(edges.start[target + 1]))
        ends = zip(edges.first[span].tolist(), edges.second[span].tolist(), strict=True)
        found = dict(zip(map(frozenset, ends), edges.weight[span].tolist(), strict=True))
        assert found == expected
        assert edges.counted[target] == sum(expected.values())
        assert span.stop - span.start == len(expected)


def test_on_a_grid_narrower_than_the_neighborhood_the_edges_that_fit_are_listed_at_their_later_end() -> None:
    box_masks, image_index = torch.ones(2, 4, 2, dtype=torch.bool), torch.zeros(2, dtype=torch.int64)
    for neighborhood, first, second in (
        (Neighborhood(size=3, dilation=2), [4, 5, 6, 7], [0, 1, 2, 3]),  # two rows up
        (Neighborhood(size=7, dilation=3), [6, 7], [0, 1]),  # three rows up; some of its steps lead far off the grid
    ):
        similar_edges = torch.ones(1, neighborhood.num_edges, 4, 2, dtype=torch.bool)
        edges = supervised_edges(box_masks, similar_edges, image_index, neighborhood)
        assert edges.first.tolist() == first * 2
        assert edges.second.tolist() == second * 2
        assert edges.weight.unique().tolist() == [2]
        assert edges.counted.tolist() == [2 * len(first)] * 2


def test_edges_of_another_neighborhood_are_refused() -> None:
    with pytest.raises(ValueError, match="8 edges per pixel, expected 24"):
        supervised_edges(
            torch.ones(1, 3, 3, dtype=torch.bool),
            torch.ones(1, 8, 3, 3, dtype=torch.bool),
            torch.tensor([0]),
            Neighborhood(5, 1),
        )


def test_the_number_of_counted_edges_equals_golden(golden) -> None:
    values = {name: torch.as_tensor(value) for name, value in golden("d_boxinst_mask_loss").items()}
    threshold = values["color_thresh"].item()
    neighborhood = Neighborhood(int(values["kernel_size"]), int(values["dilation"]))
    similar = torch.stack([values["color_similarity_im0"], values["color_similarity_im1"]]) >= threshold
    image_index = torch.tensor([0] * len(values["boxes0"]) + [1] * len(values["boxes1"]))
    edges = supervised_edges(values["gt_bitmasks"] > 0, similar, image_index, neighborhood)
    assert edges.counted[values["gt_inds"]].tolist() == values["weights_sum_per_inst"].tolist()
