import torch

from core.config import LossConfig
from core.config.loss import MASK_TERMS
from core.structures import Annotations, Batch
from core.targets.mask_targets import build_mask_targets

CLOSE = LossConfig(neighborhood_dilation=1)


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
    targets = build_mask_targets(batch(first, annotations([], 2, 3), third), CLOSE)
    assert targets.has_mask.tolist() == [True, False, True]
    assert targets.box_masks.int().tolist() == [
        [[1, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 1, 0]],
        [[0, 0, 1], [0, 0, 1]],
    ]
    # Of the two cells of the first image the neighbors to the east differ, or are padding; those of one column agree.
    assert targets.similar_edges.counted.tolist() == [1, 1, 2]
    assert targets.similar_edges.possible == 4 * 8


def test_edges_are_listed_where_a_term_asks_for_them() -> None:
    image = batch(annotations([[0, 0, 12, 8]], 2, 3))
    none = dict.fromkeys(MASK_TERMS, 0) | {"neighborhood_dilation": 1}
    by_term = {name: build_mask_targets(image, LossConfig(**none | {name: 1})) for name in MASK_TERMS}
    assert [name for name, targets in by_term.items() if targets.similar_edges is not None] == ["pairwise"]
    assert [name for name, targets in by_term.items() if targets.labeled_edges is not None] == ["mask_pairwise"]
    # A grid of 2 x 3 has 4 horizontal, 3 vertical and 4 diagonal pairs, each seen from both its ends.
    assert by_term["mask_pairwise"].labeled_edges.counted.tolist() == [22]


def test_a_batch_without_boxes_has_empty_targets() -> None:
    targets = build_mask_targets(batch(annotations([], 2, 3)), LossConfig(mask_pairwise=1))
    assert targets.box_masks.shape == targets.masks.shape == (0, 2, 3)
    assert targets.has_mask.shape == targets.labeled_edges.counted.shape == targets.similar_edges.counted.shape == (0,)
