"""Accumulation and workers: with whom the positives of a batch are counted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.compute.workers import ALONE, Workers
from core.config import Config
from core.datasets.coco import load_training_set
from core.datasets.sources.shapes import generate
from core.model.condinst import CondInst
from core.structures import Batch
from core.targets.assignment import assign
from tests.core.compute.batches import RELATIVE, build, each_worker, loaded, terms


@dataclass(frozen=True)
class Rehearsed(Workers):
    """One of several workers, all of them played by this process: `take` gives the mean of what each would count."""

    take: Callable[[Tensor], Tensor] = lambda value: value

    def mean(self, value: Tensor) -> Tensor:
        return self.take(value)


def scored_as(count: int, batches: list[Batch], model: CondInst, config: Config) -> list[dict[str, float]]:
    """Terms of each batch in a step of `count` workers, which take the batches by turns."""
    scored = []
    for low in range(0, len(batches), count):
        group = batches[low : low + count]
        counts: list[list[Tensor]] = [[] for _ in group]  # by rank, in the order in which they are asked for
        for rank, batch in enumerate(group):
            terms(model, batch, config, Rehearsed(rank, count, take=lambda v, of=counts[rank]: of.append(v) or v))
        means = [torch.stack(values).float().mean(0) for values in zip(*counts, strict=True)]
        for rank, batch in enumerate(group):
            recalled = iter(means)
            scored.append(terms(model, batch, config, Rehearsed(rank, count, take=lambda v, of=recalled: next(of))))
    return scored


def test_accumulation_2_with_2_workers_is_1_with_4_but_for_whom_positives_are_counted_with(tmp_path: Path) -> None:
    # Mask terms are by each batch's own counts: the same. Class, box and centerness terms are by the mean count of the
    # workers at one time: of two batches here, of four there. Times that count they are the same.
    generate(tmp_path / "shapes", {"train": 6, "val": 3}, seed=7, size=96)
    config = each_worker(tmp_path / "shapes", batch_size=1)
    dataset = load_training_set(config.data, config.supervision, 0)
    model = build(config, dataset.num_classes)
    batches = loaded(dataset, config, ALONE)[:4]
    two, four = (scored_as(count, batches, model, config) for count in (2, 4))
    positives = torch.tensor([num_positives(model, batch, config) for batch in batches], dtype=torch.float64)
    with_two = positives.view(2, 2).mean(1).repeat_interleave(2).tolist()
    assert with_two[0] != with_two[2]
    for accumulated, at_once, count in zip(two, four, with_two, strict=True):
        for name in accumulated.keys() - {"class", "box", "centerness"}:
            assert accumulated[name] == at_once[name]
        for name in ("class", "centerness"):
            expected = at_once[name] * positives.mean().item() / count
            assert accumulated[name] == pytest.approx(expected, rel=RELATIVE)
        assert accumulated["class"] != pytest.approx(at_once["class"], rel=1e-3)


def num_positives(model: CondInst, batch: Batch, config: Config) -> int:
    predictions = model(batch.images, batch.image_sizes)
    assignment = assign(predictions, batch.annotations, config.assignment)
    return len(assignment.positives()[0])
