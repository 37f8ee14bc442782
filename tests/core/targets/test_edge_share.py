"""A threshold for each image that keeps a share of the edges in its boxes: by hand, by sorting, with ties, on gray."""

import math

import pytest
import torch

from core.config import LossConfig
from core.neighborhood import Neighborhood
from core.targets.color_similarity import color_similarity, similar_edges
from core.targets.edge_share import thresholds_of_share
from core.targets.mask_targets import build_mask_targets
from tests.core.targets.test_mask_targets import annotations, batch

CLOSE = Neighborhood(size=3, dilation=1)


def row(*values: float) -> torch.Tensor:
    """One image of one row, with one edge at each pixel."""
    return torch.tensor(values).reshape(1, 1, 1, -1)


def threshold(similarity: torch.Tensor, share: float, usable: object = None, in_boxes: object = None) -> float:
    everywhere = torch.ones_like(similarity, dtype=torch.bool)
    usable = everywhere if usable is None else torch.tensor(usable).reshape(everywhere.shape)
    in_boxes = everywhere[:, 0] if in_boxes is None else torch.tensor(in_boxes).reshape(everywhere[:, 0].shape)
    return round(thresholds_of_share(similarity, usable, in_boxes, share).item(), 6)


@pytest.mark.parametrize(
    ("share", "kept"), [(0.01, 0.9), (0.25, 0.9), (0.26, 0.7), (0.5, 0.7), (0.75, 0.4), (1.0, 0.1)]
)
def test_the_threshold_is_the_similarity_of_the_last_edge_of_the_share(share: float, kept: float) -> None:
    assert threshold(row(0.4, 0.9, 0.1, 0.7), share) == kept


def test_only_usable_edges_in_a_box_are_ranked() -> None:
    similarity = row(0.4, 0.9, 0.1, 0.7, 0.8, 0.6)
    usable, in_boxes = [True, False, True, True, True, True], [True, True, True, True, False, False]
    assert threshold(similarity, 0.5, usable, in_boxes) == 0.4  # of 0.7, 0.4 and 0.1 two are kept
    assert threshold(similarity, 0.5) == 0.7  # of all six three
    assert threshold(similarity, 0.5, in_boxes=[False] * 6) == math.inf


def test_edges_as_similar_as_the_last_one_are_kept_too() -> None:
    similarity = row(1.0, 0.5, 0.5, 0.5, 0.2)
    assert threshold(similarity, 0.4) == 0.5  # two of five are asked for, and four reach it
    assert threshold(row(0.0, 0.0, 0.0), 0.1) == 0.0


def test_each_image_has_a_threshold_of_its_own() -> None:
    both = torch.cat([row(0.9, 0.8, 0.7, 0.6), row(0.4, 0.3, 0.2, 0.1)])
    everywhere = torch.ones_like(both, dtype=torch.bool)
    found = thresholds_of_share(both, everywhere, everywhere[:, 0], 0.5)
    torch.testing.assert_close(found, torch.tensor([0.8, 0.3]))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_kept_edges_of_random_photos_are_the_most_similar_by_sorting(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 24, 32), generator=generator, dtype=torch.uint8)
    in_boxes = torch.zeros(2, 6, 8, dtype=torch.bool)
    in_boxes[0, 1:5, 2:7], in_boxes[1, :3, :4] = True, True
    frame = (images, [(24, 32), (20, 24)], [0, 4], CLOSE, 40.0)
    kept = similar_edges(*frame, 0.3, kept_share=share, in_boxes=in_boxes) & in_boxes[:, None]
    similarity = color_similarity(*frame)
    for image in range(2):
        # Where the neighbor is not trusted the similarity is 0, and nowhere else in these photos.
        values = sorted(similarity[image][:, in_boxes[image]].flatten().tolist(), reverse=True)
        values = [value for value in values if value > 0]
        expected = values[: math.ceil(share * len(values))]
        found = similarity[image][kept[image]].tolist()
        assert sorted(found, reverse=True)[: len(expected)] == expected
        assert min(found) == expected[-1]


def test_a_photo_of_one_gray_keeps_all_edges_as_threshold_zero_does() -> None:
    image = torch.full((1, 3, 16, 16), 119, dtype=torch.uint8)
    frame = (image, [(16, 14)], [2], CLOSE, 2.0)
    in_boxes = torch.ones(1, 4, 4, dtype=torch.bool)
    for share in (0.01, 0.5, 1.0):
        assert torch.equal(similar_edges(*frame, 0.3, kept_share=share, in_boxes=in_boxes), similar_edges(*frame, 0.0))


def test_the_whole_share_is_threshold_zero_whatever_the_colors() -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (1, 3, 16, 16), generator=generator, dtype=torch.uint8)
    ignored = torch.zeros(1, 4, 4, dtype=torch.bool)
    ignored[0, 1, 1] = True
    frame = (image, [(16, 16)], [0], CLOSE, 2.0)
    for given in (None, ignored):
        whole = similar_edges(*frame, 0.3, ignored=given, kept_share=1.0, in_boxes=torch.ones_like(ignored))
        assert torch.equal(whole, similar_edges(*frame, 0.0, ignored=given))


def test_the_setting_takes_the_place_of_the_color_threshold() -> None:
    # Cells of 2 x 3, black, half and light columns: of the edges in the box over all cells, those of one column are
    # equally similar, 1; each of the others is less. Each cell has one neighbor in its column.
    image = batch(annotations([], 2, 3), annotations([[0, 0, 12, 8]], 2, 3))
    loss = {"neighborhood_dilation": 1}

    def counted(**setting: float) -> int:
        return int(build_mask_targets(image, LossConfig(**loss, **setting)).similar_edges.counted.item())

    assert counted() == 6
    assert counted(kept_edges=0.1) == counted(kept_edges=0.1, color_threshold=1.0) == 6  # ties: 3 of 22 are asked for
    assert counted(kept_edges=1.0) == counted(color_threshold=0.0) == 22
    assert 6 < counted(kept_edges=0.5) < 22
