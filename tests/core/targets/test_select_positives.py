"""Which positives get a mask in a step: by hand and in the order of AdelaiDet (golden m)."""

import pytest
import torch

from core.structures import BACKGROUND, Assignment
from core.targets.assignment import select_positives
from tests.core.targets.box_annotations import annotations


def select(
    instances: list[int], scores: list[float], max_masks: int, selection: str = "best_per_instance"
) -> list[int]:
    """Location indices chosen of one image with one location for each of `instances`."""
    index = torch.tensor([instances])
    assignment = Assignment(torch.zeros_like(index), index, torch.ones(*index.shape, 4))
    chosen = select_positives(
        assignment,
        torch.tensor(scores).logit()[None, :, None],
        torch.full((1, len(scores)), 50.0),
        [annotations([[0, 0, 1, 1]] * 4)],
        selection=selection,
        max_masks=max_masks,
        generator=torch.Generator().manual_seed(0),
    )
    assert torch.equal(chosen.target_index, index[0, chosen.location_index])
    return chosen.location_index.tolist()


def test_each_instance_keeps_its_share_best_first() -> None:
    # Two of the four instances have positives: 5 // 2 = 2 masks each.
    assert select([3, 1, 3, 3, 1], [0.2, 0.9, 0.8, 0.5, 0.7], max_masks=5) == [1, 4, 2, 3]


def test_an_instance_with_few_positives_keeps_them_in_order_of_location() -> None:
    assert select([1, 0, 1, 0, 0], [0.1, 0.2, 0.9, 0.3, 0.4], max_masks=4) == [4, 3, 0, 2]


def test_every_instance_keeps_at_least_one() -> None:
    assert select([0, 1, 2], [0.5, 0.5, 0.5], max_masks=1) == [0, 1, 2]


def test_random_selection_takes_all_or_a_drawn_subset() -> None:
    assert select([0, 1, 2], [0.5] * 3, max_masks=3, selection="random") == [0, 1, 2]
    drawn = select([0, 1, 2, 3], [0.5] * 4, max_masks=2, selection="random")
    assert len(set(drawn)) == 2
    assert drawn == select([0, 1, 2, 3], [0.5] * 4, max_masks=2, selection="random")


@pytest.mark.parametrize("selection", ["best_per_instance", "random"])
def test_nothing_is_selected_without_positives(selection: str) -> None:
    nothing = torch.full((2, 3), BACKGROUND)
    chosen = select_positives(
        Assignment(nothing, nothing, torch.zeros(2, 3, 4)),
        torch.zeros(2, 3, 1),
        torch.zeros(2, 3),
        [annotations([]), annotations([])],
        selection=selection,
        max_masks=4,
        generator=torch.Generator(),
    )
    assert chosen.target_index.shape == chosen.image_index.shape == (0,)


def test_selection_equals_golden_in_order(golden) -> None:
    values = {name: torch.from_numpy(value) for name, value in golden("m_topk_select").items() if value.shape}
    image_index, target = values["im_inds"], values["gt_inds"]
    num_images = int(image_index.max()) + 1
    # Every recorded positive becomes a location of all images, background in those it does not belong to.
    num_targets = [int(target[image_index == i].max()) + 1 for i in range(num_images)]
    first = [0, *num_targets[:-1]]
    instance_index = torch.full((num_images, len(target)), BACKGROUND)
    for i in range(num_images):
        own = image_index == i
        instance_index[i, own] = target[own] - first[i]
    assignment = Assignment(
        labels=torch.where(instance_index == BACKGROUND, BACKGROUND, 0),
        instance_index=instance_index,
        ltrb=torch.zeros(*instance_index.shape, 4),
    )
    images = [annotations([[0, 0, 1, 1]] * (end - start)) for start, end in zip(first, num_targets, strict=True)]
    chosen = select_positives(
        assignment,
        values["logits_pred"].expand(num_images, -1, -1),
        values["ctrness_pred"].expand(num_images, -1),
        images,
        selection="best_per_instance",
        max_masks=int(golden("m_topk_select")["topk_per_im"]),
        generator=torch.Generator(),
    )
    assert torch.equal(chosen.location_index, values["selected"])
    assert torch.equal(chosen.image_index, image_index[values["selected"]])
    assert torch.equal(chosen.target_index, target[values["selected"]])
