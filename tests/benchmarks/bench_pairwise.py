"""The pairwise loss on supervised edges against the dense one: time and extra memory, forward and backward, one thread.

`python -m tests.benchmarks.bench_pairwise`. Random logits, boxes and edges; the time of the fast form includes listing
the edges, which training does once a step. Extra memory is the peak of what tensors hold beyond the inputs, from
torch's profiler; it includes the gradient of the logits, which both must deliver and which is given beside it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from core.losses.pairwise import pairwise_loss
from core.neighborhood import Neighborhood
from core.targets.edges import supervised_edges
from tests.benchmarks.form import Line, tell
from tests.core.losses.dense_pairwise import dense_pairwise_loss

NEIGHBORHOOD = Neighborhood(size=3, dilation=2)
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Problem:
    name: str
    num_locations: int
    num_annotated: int  # instances that the locations share
    num_images: int
    h: int
    w: int
    box_share: float  # of the grid, each box
    edges_kept: float


PROBLEMS = [
    Problem("128 locations of 128 instances, 200x304", 128, 128, 2, 200, 304, 0.05, 0.31),
    Problem("128 locations of 16 instances, 200x304", 128, 16, 2, 200, 304, 0.05, 0.31),
    Problem("200 locations of 24 instances, 40x40", 200, 24, 8, 40, 40, 0.15, 0.31),
    Problem("the worst: boxes of 35 % of the image, all edges, 128 locations", 128, 128, 2, 200, 304, 0.35, 1.0),
]
LEAST = 5.0  # times the dense form, also in the worst case


def draw(problem: Problem) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Logits, box masks, similar edges, and which image and instance is whose."""
    generator = torch.Generator().manual_seed(0)
    shape = (problem.num_images, NEIGHBORHOOD.num_edges, problem.h, problem.w)
    similar_edges = torch.rand(shape, generator=generator) < problem.edges_kept
    for e in range(NEIGHBORHOOD.num_edges // 2):  # similarity is mutual: both ends of a pair see the same
        back = NEIGHBORHOOD.num_edges - 1 - e
        similar_edges[:, back] = NEIGHBORHOOD.neighbors(similar_edges[:, e])[:, back]
    box_masks = torch.zeros(problem.num_annotated, problem.h, problem.w, dtype=torch.bool)
    for mask in box_masks:
        stretch = 2 ** (torch.rand((), generator=generator).item() - 0.5)
        height = round(problem.h * problem.box_share**0.5 * stretch)
        width = round(problem.w * problem.box_share**0.5 / stretch)
        top = int(torch.randint(problem.h - height + 1, (), generator=generator))
        left = int(torch.randint(problem.w - width + 1, (), generator=generator))
        mask[top : top + height, left : left + width] = True
    image_index = torch.arange(problem.num_annotated) * problem.num_images // problem.num_annotated
    target_index = torch.arange(problem.num_locations) * problem.num_annotated // problem.num_locations
    logits = 3 * torch.randn(problem.num_locations, problem.h, problem.w, generator=generator)
    return logits.requires_grad_(), box_masks, similar_edges, image_index, target_index


def timed(run: Callable[[], tuple[Tensor, Tensor]], repeats: int) -> tuple[float, tuple[Tensor, Tensor]]:
    """Seconds of the shortest of `repeats` runs, and what the last one returned."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return min(times), result


def peak_bytes(run: Callable[[], object]) -> int:
    """Most bytes that tensors made by `run` held at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as recorded:
        run()
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = torch.tensor([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())])
    return int(held.cumsum(0).max())


def measure(*, quick: bool) -> list[Line]:
    """Lines of the fast form, each with the dense one as its reference; one thread."""
    torch.set_num_threads(1)
    problems = [Problem("4 locations of 2 instances, 16x16", 4, 2, 1, 16, 16, 0.2, 0.31)] if quick else PROBLEMS
    return [line for problem in problems for line in of_problem(problem)]


def of_problem(problem: Problem) -> list[Line]:
    logits, box_masks, similar_edges, image_index, target_index = draw(problem)

    def fast() -> tuple[Tensor, Tensor]:
        edges = supervised_edges(box_masks, similar_edges, image_index, NEIGHBORHOOD)
        total, count = pairwise_loss(logits, edges, target_index)
        loss = total / count
        return loss, torch.autograd.grad(loss, logits)[0]

    def dense() -> tuple[Tensor, Tensor]:
        similar = similar_edges[image_index[target_index]]
        loss = dense_pairwise_loss(logits, box_masks[target_index], similar, NEIGHBORHOOD)
        return loss, torch.autograd.grad(loss, logits)[0]

    fast_time, (fast_loss, fast_gradient) = timed(fast, repeats=10)
    dense_time, (dense_loss, dense_gradient) = timed(dense, repeats=2)
    fast_bytes, dense_bytes = peak_bytes(fast), peak_bytes(dense)
    name, form = f"pairwise loss, {problem.name}", "dense form"
    return [
        Line(f"{name}: times as fast", dense_time / fast_time, "", LEAST, "at least"),
        Line(f"{name}: time", fast_time * 1e3, "ms", dense_time * 1e3, form),
        Line(f"{name}: extra memory", fast_bytes / MEBIBYTE, "MiB", dense_bytes / MEBIBYTE, form),
        Line(f"{name}: of which gradient of the logits", fast_gradient.nbytes / MEBIBYTE, "MiB"),
        Line(f"{name}: difference of the loss", abs(fast_loss - dense_loss).item(), ""),
        Line(f"{name}: difference of the gradient", (fast_gradient - dense_gradient).abs().max().item(), ""),
    ]


if __name__ == "__main__":
    tell(measure(quick=False))
