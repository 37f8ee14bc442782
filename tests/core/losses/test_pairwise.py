import math

import pytest
import torch

from core.losses.pairwise import _runs, negative_log_same, pairwise_loss
from core.neighborhood import Neighborhood
from core.structures import SupervisedEdges
from core.targets.edges import supervised_edges
from tests.core.losses.dense_pairwise import dense_edges, dense_pairwise_loss

CLOSE = Neighborhood(size=3, dilation=1)
NEIGHBORHOODS = [CLOSE, Neighborhood(3, 2), Neighborhood(3, 3), Neighborhood(5, 1), Neighborhood(5, 2)]


def mean_loss(logits: torch.Tensor, edges: SupervisedEdges, target_index: torch.Tensor) -> torch.Tensor:
    """Over the counted edges, as the criterion takes it."""
    total, count = pairwise_loss(logits, edges, target_index)
    return total / count.clamp(min=1)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def mixed_problem(neighborhood: Neighborhood, seed: int) -> tuple[torch.Tensor, ...]:
    """Two images, four instances (at borders, one pixel, empty, all of the grid), nine locations in mixed order."""
    generator = torch.Generator().manual_seed(seed)
    box_masks = torch.zeros(4, 9, 11, dtype=torch.bool)
    box_masks[0, 0:4, 6:11] = True
    box_masks[1, 5, 5] = True
    box_masks[3] = True
    image_index = torch.tensor([0, 0, 1, 1])
    target_index = torch.tensor([3, 0, 0, 2, 1, 3, 0, 1, 3])
    similar_edges = torch.rand(2, neighborhood.num_edges, 9, 11, generator=generator) < 0.4
    logits = 4 * torch.randn(9, 9, 11, generator=generator, dtype=torch.float64)
    logits[1] *= 10
    return logits.requires_grad_(), box_masks, similar_edges, image_index, target_index


def test_one_edge_costs_the_hand_worked_value() -> None:
    # Probabilities 0.8 and 0.4 take the same label with 0.8 * 0.4 + 0.2 * 0.6 = 0.44.
    logits = torch.tensor([[[logit(0.8), logit(0.4)]]], requires_grad=True)
    box_masks = torch.tensor([[[True, False]]])
    edges = supervised_edges(box_masks, torch.ones(1, 8, 1, 2, dtype=torch.bool), torch.tensor([0]), CLOSE)
    loss, count = pairwise_loss(logits, edges, torch.tensor([0]))
    loss.backward()
    assert count == 1
    assert loss.item() == pytest.approx(-math.log(0.44))
    # d/dp = -(2q - 1) / 0.44 = 0.2 / 0.44 times dp/da = 0.8 * 0.2; d/dq = -(2p - 1) / 0.44 times 0.4 * 0.6
    assert logits.grad.flatten().tolist() == pytest.approx([0.2 / 0.44 * 0.16, -0.6 / 0.44 * 0.24])


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_fast_loss_is_the_dense_one(neighborhood: Neighborhood, seed: int) -> None:
    logits, box_masks, similar_edges, image_index, target_index = mixed_problem(neighborhood, seed)
    fast = mean_loss(logits, supervised_edges(box_masks, similar_edges, image_index, neighborhood), target_index)
    dense = dense_pairwise_loss(logits, box_masks[target_index], similar_edges[image_index[target_index]], neighborhood)
    assert fast.item() == pytest.approx(dense.item(), abs=1e-10)
    (fast_gradient,) = torch.autograd.grad(3 * fast, logits)
    (dense_gradient,) = torch.autograd.grad(3 * dense, logits)
    torch.testing.assert_close(fast_gradient, dense_gradient, atol=1e-10, rtol=0)


def test_the_gradient_is_the_numerical_one() -> None:
    logits, box_masks, similar_edges, image_index, target_index = mixed_problem(CLOSE, seed=5)
    edges = supervised_edges(box_masks, similar_edges, image_index, CLOSE)
    torch.autograd.gradcheck(lambda x: mean_loss(x, edges, target_index), logits, fast_mode=True)


def test_small_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, box_masks, similar_edges, image_index, target_index = mixed_problem(CLOSE, seed=7)

    def run() -> tuple[SupervisedEdges, torch.Tensor, torch.Tensor]:
        edges = supervised_edges(box_masks, similar_edges, image_index, CLOSE)
        loss = mean_loss(logits, edges, target_index)
        return edges, loss.detach(), torch.autograd.grad(loss, logits)[0]

    edges, loss, gradient = run()
    for edges_per_chunk, cells_per_chunk in ((1, 1), (100, 250)):
        monkeypatch.setattr("core.losses.pairwise.EDGES_PER_CHUNK", edges_per_chunk)
        monkeypatch.setattr("core.targets.edges.CELLS_PER_CHUNK", cells_per_chunk)
        chunked_edges, chunked_loss, chunked_gradient = run()
        assert all(torch.equal(getattr(edges, name), getattr(chunked_edges, name)) for name in ("first", "start"))
        torch.testing.assert_close(chunked_loss, loss)
        torch.testing.assert_close(chunked_gradient, gradient)


def test_a_chunk_may_be_full_and_one_location_may_be_more_than_a_chunk() -> None:
    assert list(_runs([2, 3, 4, 0, 9], most=5)) == [(0, 2, 5), (2, 4, 4), (4, 5, 9)]


def test_the_same_input_gives_the_same_bits() -> None:
    logits, box_masks, similar_edges, image_index, target_index = mixed_problem(CLOSE, seed=2)
    edges = supervised_edges(box_masks, similar_edges, image_index, CLOSE)
    runs = [torch.autograd.grad(mean_loss(logits, edges, target_index), logits)[0] for _ in range(2)]
    assert torch.equal(*runs)


def test_permuting_the_locations_permutes_the_gradient() -> None:
    logits, box_masks, similar_edges, image_index, target_index = mixed_problem(CLOSE, seed=3)
    edges = supervised_edges(box_masks, similar_edges, image_index, CLOSE)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    loss = mean_loss(logits, edges, target_index)
    permuted = mean_loss(logits[order], edges, target_index[order])
    assert permuted.item() == pytest.approx(loss.item(), rel=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (loss, permuted)))


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 2)])
def test_flipping_everything_changes_nothing(axes: tuple[int, ...]) -> None:
    logits, box_masks, similar_edges, image_index, target_index = mixed_problem(CLOSE, seed=4)
    loss = mean_loss(logits, supervised_edges(box_masks, similar_edges, image_index, CLOSE), target_index)
    signs = [-1 if axis in axes else 1 for axis in (1, 2)]
    moved = [CLOSE.offsets.index((dy * signs[0], dx * signs[1])) for dy, dx in CLOSE.offsets]
    flipped_edges = similar_edges[:, moved].flip([axis + 1 for axis in axes])
    edges = supervised_edges(box_masks.flip(axes), flipped_edges, image_index, CLOSE)
    assert mean_loss(logits.flip(axes), edges, target_index).item() == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize(("a", "b"), [(300.0, 250.0), (-300.0, -250.0), (300.0, -250.0), (-300.0, 250.0)])
def test_huge_logits_cost_what_they_should_without_overflow(a: float, b: float) -> None:
    logits = torch.tensor([[[a, b]]], requires_grad=True)
    everything = torch.ones(1, 8, 1, 2, dtype=torch.bool)
    edges = supervised_edges(torch.ones(1, 1, 2, dtype=torch.bool), everything, torch.tensor([0]), CLOSE)
    loss = mean_loss(logits, edges, torch.tensor([0]))
    loss.backward()
    opposed = a * b < 0  # then the one nearer to 0 should change sides
    assert loss.item() == (250 if opposed else 0)
    assert logits.grad.flatten().tolist() == pytest.approx([0, math.copysign(1, b) if opposed else 0], abs=1e-12)


@pytest.mark.parametrize("num_targets", [0, 2])
def test_no_locations_or_no_edges_cost_nothing_and_carry_a_gradient(num_targets: int) -> None:
    box_masks = torch.zeros(num_targets, 3, 4, dtype=torch.bool)  # boxes that vanish at the mask grid
    similar = torch.ones(1, 8, 3, 4, dtype=torch.bool)
    edges = supervised_edges(box_masks, similar, torch.zeros(num_targets, dtype=torch.int64), CLOSE)
    assert edges.counted.tolist() == [0] * num_targets
    assert math.isnan(edges.share_kept)
    logits = torch.randn(num_targets, 3, 4, requires_grad=True)
    loss = mean_loss(logits, edges, torch.arange(num_targets))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


GOLDEN = ["b_pairwise_k3d1", "b_pairwise_k3d2", "b_pairwise_k5d1"]


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 5e-6), ("float64", 1e-12)])
def test_edge_values_equal_golden(golden, name: str, precision: str, tolerance: float) -> None:
    values = golden(name)
    neighborhood = Neighborhood(int(values["kernel_size"]), int(values["dilation"]))
    logits = torch.from_numpy(values["logits"]).squeeze(1).to(getattr(torch, precision))
    expected = torch.from_numpy(values["edges" if precision == "float32" else "edges_f64"])
    torch.testing.assert_close(dense_edges(logits, neighborhood), expected, atol=tolerance, rtol=tolerance / 10)
    on_grid = neighborhood.neighbors(torch.ones_like(logits)) > 0
    own, other = logits[:, None].expand_as(expected)[on_grid], neighborhood.neighbors(logits)[on_grid]
    torch.testing.assert_close(negative_log_same(own, other), expected[on_grid], atol=tolerance, rtol=tolerance / 10)


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_pairwise_equals_golden_values_and_gradients(golden, name: str, precision: str) -> None:
    values = golden(name)
    suffix, tolerance = ("", 1e-6) if precision == "float32" else ("_f64", 1e-12)
    neighborhood = Neighborhood(int(values["kernel_size"]), int(values["dilation"]))
    logits = torch.from_numpy(values["logits"]).squeeze(1).to(getattr(torch, precision)).requires_grad_()
    weights = torch.from_numpy(values["weights"]) > 0
    # Each instance is an image of its own, whose similar edges are the golden weights.
    index = torch.arange(len(logits))
    edges = supervised_edges(torch.ones(logits.shape, dtype=torch.bool), weights, index, neighborhood)
    # The golden normalizer counts the (free) edges that leave the grid as well; in a loss they have similarity 0.
    share = int(edges.counted.sum()) / max(int(weights.sum()), 1)
    loss = mean_loss(logits, edges, index) * share
    loss.backward()
    assert loss.item() == pytest.approx(values[f"loss{suffix}"].item(), abs=tolerance, rel=1e-6 if not suffix else 0)
    gradient = torch.from_numpy(values[f"grad_logits{suffix}"]).squeeze(1)
    torch.testing.assert_close(logits.grad, gradient, atol=min(tolerance, 1e-7), rtol=0)
