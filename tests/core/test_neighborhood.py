import pytest
import torch

from core.neighborhood import Neighborhood


def test_offsets_are_row_major_with_the_center_left_out():
    assert Neighborhood(size=3, dilation=2).offsets == (
        (-2, -2), (-2, 0), (-2, 2),
        (0, -2), (0, 2),
        (2, -2), (2, 0), (2, 2),
    )  # fmt: skip


@pytest.mark.parametrize(("size", "dilation", "num_edges", "margin"), [(3, 1, 8, 1), (3, 2, 8, 2), (5, 1, 24, 2)])
def test_edges_and_margin_follow_from_size_and_dilation(size, dilation, num_edges, margin):
    neighborhood = Neighborhood(size, dilation)
    assert neighborhood.num_edges == num_edges == len(neighborhood.offsets)
    assert neighborhood.margin == margin


def test_neighbors_of_a_3x3_grid():
    # 1 2 3
    # 4 5 6
    # 7 8 9
    values = torch.arange(1.0, 10.0).reshape(3, 3)
    neighbors = Neighborhood(3, 1).neighbors(values, outside=-1.0)
    assert neighbors[:, 1, 1].tolist() == [1, 2, 3, 4, 6, 7, 8, 9]
    assert neighbors[:, 0, 2].tolist() == [-1, -1, -1, 2, -1, 5, 6, -1]


@pytest.mark.parametrize(("size", "dilation"), [(3, 1), (3, 2), (5, 2)])
def test_neighbors_equal_a_double_loop_over_pixels(size, dilation):
    neighborhood = Neighborhood(size, dilation)
    values = torch.randn(2, 5, 7)
    expected = torch.full((2, neighborhood.num_edges, 5, 7), 9.0)
    for edge, (dy, dx) in enumerate(neighborhood.offsets):
        for y in range(5):
            for x in range(7):
                if 0 <= y + dy < 5 and 0 <= x + dx < 7:
                    expected[:, edge, y, x] = values[:, y + dy, x + dx]
    assert torch.equal(neighborhood.neighbors(values, outside=9.0), expected)


def test_neighbors_keep_booleans_and_empty_batches():
    neighborhood = Neighborhood()
    assert neighborhood.neighbors(torch.ones(4, 4, dtype=torch.bool)).dtype == torch.bool
    assert neighborhood.neighbors(torch.zeros(0, 3, 4)).shape == (0, 8, 3, 4)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_even_or_single_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}"):
        Neighborhood(size=size)


def test_zero_dilation_is_refused():
    with pytest.raises(ValueError, match="dilation is 0"):
        Neighborhood(dilation=0)
