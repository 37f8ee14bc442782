"""Tensors that travel together arrive as they were."""

import torch

from core.compute.transfer import to_device, to_device_together
from core.structures import Annotations


def test_a_tensor_that_is_there_is_not_copied() -> None:
    tensor = torch.arange(3)
    assert to_device(tensor, "cpu") is tensor


def test_tensors_that_travel_together_keep_their_shapes_and_values() -> None:
    tensors = [torch.arange(6).reshape(2, 3), torch.zeros(0, 3, dtype=torch.int64), torch.tensor(7)]
    moved = to_device_together(tensors, "cpu")
    assert all(torch.equal(*pair) for pair in zip(moved, tensors, strict=True))


def annotations(count: int, **some: torch.Tensor) -> Annotations:
    return Annotations(
        boxes=torch.rand(count, 4),
        labels=torch.arange(count),
        has_mask=torch.arange(count) % 2 == 0,
        masks=torch.rand(count, 5, 6) > 0.5,
        mask_centroids=torch.rand(count, 2),
        **some,
    )


def test_annotations_of_several_images_arrive_with_what_only_some_have() -> None:
    regions = {"ignored": torch.rand(5, 6) > 0.5, "ignored_boxes": torch.rand(2, 4)}
    images = [annotations(2), annotations(0, **regions), annotations(3, semantic_labels=torch.ones(2, 3).long())]
    for arrived, sent in zip(Annotations.to_device(images, "cpu"), images, strict=True):
        for name, expected in vars(sent).items():
            found = getattr(arrived, name)
            assert found is None if expected is None else torch.equal(found, expected)
            assert expected is None or found.dtype == expected.dtype
