"""Mask R-CNN beside ignored regions: which anchors and proposals are no background, and losses that hold."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.datasets.sources.shapes import generate
from core.model.ignored_regions import is_covered, without_ignored
from core.structures import Annotations
from tests.core.model.small_mask_rcnn import NOTHING, TERMS, batch_of, config_of, model_of


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "shapes"
    generate(folder, {"train": 4, "val": 1}, seed=7, size=96)
    return folder


def test_a_box_is_covered_if_more_than_half_of_it_lies_in_one_region() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [0, 0, 10, 9], [40, 40, 50, 50], [2, 2, 4, 4]])
    regions = torch.tensor([[0.0, 0, 10, 5], [0, 6, 10, 20]])
    # Rows 0..5 are 5/10, 5/11 and 5/9 of the first three; the second region covers 4/10, 5/11 and 3/9 of them.
    assert is_covered(boxes, regions).tolist() == [False, False, True, False, True]
    assert is_covered(boxes, regions[:0]).tolist() == [False] * 5
    assert is_covered(boxes[:0], regions).tolist() == []


def test_covered_proposals_are_dropped_but_for_positives() -> None:
    annotations = Annotations(
        boxes=torch.tensor([[0.0, 0, 10, 10]]),
        labels=torch.tensor([1]),
        has_mask=torch.tensor([False]),
        masks=torch.zeros(1, 24, 24, dtype=torch.bool),
        mask_centroids=torch.tensor([[5.0, 5]]),
    )
    # IoU with the instance: 1, 1/2, 1/4, 0.
    proposals = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 5, 5], [60, 60, 90, 90]])
    assert without_ignored(proposals, annotations, 0.5) is proposals
    region = torch.tensor([[0.0, 0, 20, 20]])
    ignoring, empty = replace(annotations, ignored_boxes=region), replace(NOTHING, ignored_boxes=region)
    assert torch.equal(without_ignored(proposals, ignoring, 0.5), proposals[[0, 1, 3]])
    assert torch.equal(without_ignored(proposals, empty, 0.5), proposals[3:])


def test_covered_anchors_are_neither_positive_nor_background(root: Path) -> None:
    rpn = model_of(config_of(root)).rpn
    anchors = [torch.tensor([[0.0, 0, 20, 20], [2, 2, 12, 12], [0, 0, 20, 32], [60, 60, 80, 80]])] * 3
    region = torch.tensor([[0.0, 0, 16, 20]])
    instance, nothing = torch.tensor([[0.0, 0, 20, 20]]), torch.zeros(0, 4)
    targets = [
        {"boxes": instance, "ignored_boxes": region},
        {"boxes": nothing, "ignored_boxes": region},
        {"boxes": nothing},
    ]
    labels, boxes = rpn.assign_targets_to_anchors(anchors, targets)
    # The region covers 16/20, all, 16*20/(20*32) = 1/2 and nothing. IoU with the instance: 1, 1/4, 5/8 (neither), 0.
    assert labels[0].tolist() == [1, -1, -1, 0]
    assert labels[1].tolist() == [-1, -1, 0, 0]
    assert labels[2].tolist() == [0, 0, 0, 0]
    assert torch.equal(boxes[0], instance.expand(4, 4))


def test_losses_without_a_region_are_equal_to_the_bit_and_with_one_they_are_others(root: Path) -> None:
    config = config_of(root)
    model, batch = model_of(config).train(), batch_of(config)

    def losses(ignored: torch.Tensor | None) -> list[float]:
        torch.manual_seed(0)
        annotations = [replace(batch.annotations[0], ignored_boxes=ignored), *batch.annotations[1:]]
        terms, _ = model.losses(batch.images, batch.image_sizes, annotations)
        return [term.item() for term in terms.values()]

    plain = losses(None)
    assert losses(torch.tensor([[500.0, 500, 600, 600]])) == plain  # covers nothing
    assert losses(torch.tensor([[0.0, 0, 96, 96]])) != plain


def test_images_without_instances_that_are_ignored_as_a_whole_have_finite_losses(root: Path) -> None:
    config = config_of(root)
    model, batch = model_of(config).train(), batch_of(config)
    whole = replace(NOTHING, ignored_boxes=torch.tensor([[0.0, 0, 96, 96]]))
    terms, _ = model.losses(batch.images, batch.image_sizes, [whole] * 4)
    assert list(terms) == TERMS
    assert [terms[name].item() for name in TERMS[1:]] == [0, 0, 0, 0]
    assert terms["rpn_class"] > 0  # anchors that extend past the image are background
    sum(terms.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
