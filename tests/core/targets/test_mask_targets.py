import pytest
import torch

from core.neighborhood import Neighborhood
from core.structures import Annotations, Batch
from core.targets.mask_targets import build_mask_targets

CLOSE = Neighborhood(size=3, dilation=1)


def annotations(boxes: list[list[float]], h: int, w: int) -> Annotations:
    tensor = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    count = len(tensor)
    return Annotations(
        boxes=tensor,
        labels=torch.zeros(count, dtype=torch.int64),
        has_mask=torch.arange(count) % 2 == 0,
        masks=torch.zeros(count, h, w, dtype=torch.bool),
        mask_centroids=(tensor[:, :2] + tensor[:, 2:]) / 2,
    )


def batch(*per_image: Annotations) -> Batch:
    count = len(per_image)
    images = torch.zeros(count, 3, 8, 12, dtype=torch.uint8)
    images[..., 6:] = 200
    sizes = [(8, 8)] + [(8, 12)] * (count - 1)
    return Batch(images, list(per_image), sizes, list(range(count)), sizes, [0] * count)


def test_targets_of_all_images_stand_one_after_the_other() -> None:
    first = annotations([[0, 0, 3, 3], [4, 4, 8, 8]], 2, 3)
    third = annotations([[8, 0, 12, 8]], 2, 3)
    targets = build_mask_targets(batch(first, annotations([], 2, 3), third), CLOSE, 0.3, 2.0, needs_edges=True)
    assert targets.image_index.tolist() == [0, 0, 2]
    assert targets.has_mask.tolist() == [True, False, True]
    assert targets.box_masks.int().tolist() == [
        [[1, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 1, 0]],
        [[0, 0, 1], [0, 0, 1]],
    ]


def test_edges_join_trusted_cells_of_similar_color() -> None:
    targets = build_mask_targets(batch(annotations([], 2, 3), annotations([], 2, 3)), CLOSE, 0.3, 2.0, needs_edges=True)
    east = targets.similar_edges[:, CLOSE.offsets.index((0, 1))]
    # Columns are black, half and half, light; the first image ends before the third column.
    assert not east.any()
    south = targets.similar_edges[:, CLOSE.offsets.index((1, 0))]
    assert south.int().tolist() == [[[1, 1, 0], [0, 0, 0]], [[1, 1, 1], [0, 0, 0]]]


@pytest.mark.parametrize(("threshold", "kept"), [(0.0, True), (1.0, False)])
def test_threshold_zero_keeps_all_edges_to_trusted_cells_and_no_others(threshold: float, kept: bool) -> None:
    targets = build_mask_targets(batch(annotations([], 2, 3)), CLOSE, threshold, 2.0, needs_edges=True)
    east = targets.similar_edges[0, CLOSE.offsets.index((0, 1))]
    assert east.tolist() == [[kept, False, False]] * 2


def test_without_edges_no_pixel_has_one() -> None:
    targets = build_mask_targets(batch(annotations([[0, 0, 9, 9]], 2, 3)), CLOSE, 0.0, 2.0, needs_edges=False)
    assert targets.similar_edges.shape == (1, 8, 2, 3)
    assert not targets.similar_edges.any()
    assert targets.box_masks.any()


def test_a_batch_without_boxes_has_empty_targets() -> None:
    targets = build_mask_targets(batch(annotations([], 2, 3)), CLOSE, 0.3, 2.0, needs_edges=True)
    assert targets.box_masks.shape == targets.masks.shape == (0, 2, 3)
    assert targets.image_index.shape == (0,)
