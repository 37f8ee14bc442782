"""Edges counted for the purity are those of the pairwise loss; a few worked by hand, the rest by a plain loop."""

from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from core.config import LossConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset
from core.datasets.transforms import fixed_view
from core.edge_purity import EdgeCounts, edge_purity
from core.neighborhood import Neighborhood
from core.targets.box_mask import box_masks
from core.targets.color_similarity import color_similarity, trusted_cells
from core.targets.mask_targets import build_mask_targets

CLOSE, PAPER, WIDE = Neighborhood(3, 1), Neighborhood(3, 2), Neighborhood(5, 2)
THRESHOLDS = (0.0, 0.1, 0.3, 0.6)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[list[float]]:
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def data_set(
    folder: Path,
    images: list[np.ndarray],
    annotations: list[dict],
    *,
    short_side: int,
    ignored_bottom_rows: int = 0,
    crowds: Literal["background", "ignore"] = "background",
) -> CocoDataset:
    """A data set of these images (ids from 0); annotations name image_id, bbox (xywh) and perhaps a segmentation."""
    for index, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    content = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": pixels.shape[0], "width": pixels.shape[1]}
            for i, pixels in enumerate(images)
        ],
        "annotations": [{"id": i, "category_id": 1} | annotation for i, annotation in enumerate(annotations)],
        "categories": [{"id": 1, "name": "thing"}],
    }
    view = partial(fixed_view, short_side=short_side, long_side_max=1000)
    file = AnnotationFile.from_content(content, path=folder / "instances.json", image_folder=folder)
    return CocoDataset(file, view_of=view, ignored_bottom_rows=ignored_bottom_rows, crowds=crowds)


def smooth_noise(seed: int, height: int, width: int) -> np.ndarray:
    """Colors that change slowly, so that every threshold divides the edges."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 90 + 50 * torch.rand(1, 3, 5, 5, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    return (fine + 3 * torch.rand(fine.shape, generator=generator)).byte().permute(1, 2, 0).numpy()


@pytest.fixture(params=["background", "ignore"])
def noisy(tmp_path: Path, request: pytest.FixtureRequest) -> CocoDataset:
    """Three images of two sizes: masks, a box without one, crowds, a box that vanishes on the grid, ignored rows.

    Crowds are background, or ignored.
    """
    square = [12.0, 9.0, 30.0, 25.0]
    annotations = [
        {"image_id": 0, "bbox": square, "segmentation": rectangle(14, 10, 35, 31)},
        {"image_id": 0, "bbox": [0, 0, 48, 40], "segmentation": rectangle(5, 0, 48, 29)},
        {"image_id": 0, "bbox": [20, 5, 20, 20]},
        {"image_id": 1, "bbox": square},
        {"image_id": 2, "bbox": [3, 10, 30, 54], "segmentation": rectangle(5, 12, 33, 60)},
        {"image_id": 2, "bbox": [11, 7, 1, 30], "segmentation": rectangle(11, 7, 12, 37)},
        {"image_id": 2, "bbox": square, "segmentation": {"size": [64, 40], "counts": [64 * 40]}, "iscrowd": 1},
        {"image_id": 0, "bbox": [20, 4, 9, 17], "segmentation": rectangle(20, 4, 29, 21), "ignore": 1},
    ]
    sizes = [(40, 48), (40, 48), (64, 40)]
    images = [smooth_noise(seed, *size) for seed, size in enumerate(sizes)]
    return data_set(tmp_path, images, annotations, short_side=40, ignored_bottom_rows=6, crowds=request.param)


def two_halves(folder: Path, mask: list[list[float]], *crowds: dict) -> EdgeCounts:
    """Counts of a 16x16 image, 4x4 cells, black left and white right, whose box is the whole image.

    Crowds are ignored.
    """
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:, 8:] = 255
    annotation = {"image_id": 0, "bbox": [0, 0, 16, 16], "segmentation": mask}
    dataset = data_set(folder, [pixels], [annotation, *crowds], short_side=16, crowds="ignore")
    return edge_purity(dataset, (0.0, 0.1), [CLOSE], 2.0)[CLOSE]


def test_a_mask_that_follows_the_colors_has_pure_edges_only(tmp_path: Path) -> None:
    # Pairs of neighbors among 4x4 cells: 12 side by side, 12 one above the other, 2 * 9 diagonal; two edges each.
    # Between the second and third column: 4 side by side and 6 diagonal pairs, 20 edges of unlike color and label.
    counts = two_halves(tmp_path, rectangle(0, 0, 8, 16))
    assert counts == EdgeCounts((0.0, 0.1), 84, 64, kept=(84, 64), kept_pure=(64, 64), num_images=1, num_instances=1)
    assert counts.different == 20
    assert counts.kept_different == (20, 0)


def test_a_mask_that_ends_within_a_color_has_impure_edges(tmp_path: Path) -> None:
    # The mask's border lies between the first and second column, both black: those 20 edges are kept and impure.
    counts = two_halves(tmp_path, rectangle(0, 0, 4, 16))
    assert (counts.edges, counts.pure) == (84, 64)
    assert (counts.kept, counts.kept_pure) == ((84, 64), (64, 44))
    assert counts.kept_different == (20, 20)


def test_edges_with_an_end_in_an_ignored_region_do_not_count(tmp_path: Path) -> None:
    # Without the fourth column, 4x3 cells are left: 8 pairs side by side, 9 one above the other, 2 * 6 diagonal.
    # Between the second and third column, where color and label change, they are as before.
    crowd = {"image_id": 0, "bbox": [12, 0, 4, 16], "iscrowd": 1}
    counts = two_halves(tmp_path, rectangle(0, 0, 8, 16), crowd)
    assert (counts.edges, counts.pure, counts.num_instances) == (58, 38, 1)
    assert (counts.kept, counts.kept_pure) == ((58, 38), (38, 38))
    # A single cell in a corner takes its three neighbors' edges to it with it: 3 pairs.
    corner = {"image_id": 0, "bbox": [0, 0, 4, 4], "ignore": 1}
    assert two_halves(tmp_path, rectangle(0, 0, 8, 16), corner).edges == 84 - 6


@pytest.mark.parametrize("neighborhood", [CLOSE, PAPER, WIDE])
def test_counts_equal_a_plain_loop_over_cells_and_neighbors(noisy: CocoDataset, neighborhood: Neighborhood) -> None:
    edges = pure = 0
    kept, kept_pure = [0] * len(THRESHOLDS), [0] * len(THRESHOLDS)
    for index in range(len(noisy)):
        batch = collate([noisy[index]])
        frame = (batch.image_sizes, batch.ignored_bottom_rows)
        annotations, h, w = batch.annotations[0], *batch.annotations[0].masks.shape[1:]
        similarity = color_similarity(batch.images, *frame, neighborhood, 2.0)[0]
        trusted = trusted_cells(*frame, h, w, batch.images.device)[0].tolist()
        in_boxes = box_masks(annotations.boxes, h, w).tolist()
        nothing = torch.zeros((h, w), dtype=torch.bool)
        ignored = (nothing if annotations.ignored is None else annotations.ignored).tolist()
        for has_mask, mask, in_box in zip(annotations.has_mask, annotations.masks.tolist(), in_boxes, strict=True):
            if not has_mask:
                continue
            for y, x, (e, (dy, dx)) in (
                (y, x, edge) for y in range(h) for x in range(w) for edge in enumerate(neighborhood.offsets)
            ):
                ny, nx = y + dy, x + dx
                if not in_box[y][x] or not (0 <= ny < h and 0 <= nx < w) or not trusted[ny][nx]:
                    continue
                if ignored[y][x] or ignored[ny][nx]:
                    continue
                same = mask[y][x] == mask[ny][nx]
                edges, pure = edges + 1, pure + same
                for i, threshold in enumerate(THRESHOLDS):
                    reaches = bool(similarity[e, y, x] >= threshold)
                    kept[i], kept_pure[i] = kept[i] + reaches, kept_pure[i] + (reaches and same)
    counts = edge_purity(noisy, THRESHOLDS, [neighborhood], 2.0)[neighborhood]
    assert counts == EdgeCounts(THRESHOLDS, edges, pure, tuple(kept), tuple(kept_pure), 2, 4)
    assert edges == kept[0] > kept[1] > kept[2] > kept[3] > 0
    assert 0 < counts.kept_different[2] < counts.different


@pytest.mark.parametrize("neighborhood", [CLOSE, PAPER, WIDE])
def test_kept_edges_are_those_that_the_pairwise_loss_counts(noisy: CocoDataset, neighborhood: Neighborhood) -> None:
    counts = edge_purity(noisy, THRESHOLDS, [CLOSE, PAPER, WIDE], 2.0)[neighborhood]
    batch = collate([noisy[index] for index in range(len(noisy))])  # padded to one size
    for threshold, kept in zip(THRESHOLDS, counts.kept, strict=True):
        loss = LossConfig(
            neighborhood_size=neighborhood.size, neighborhood_dilation=neighborhood.dilation, color_threshold=threshold
        )
        targets = build_mask_targets(batch, loss)
        assert int(targets.similar_edges.counted[targets.has_mask].sum()) == kept


def test_an_edge_exactly_at_the_threshold_is_kept(noisy: CocoDataset) -> None:
    reached = color_similarity(collate([noisy[0]]).images, [(40, 48)], [6], CLOSE, 2.0)
    exactly = float(reached[reached > 0].median())
    just_above = float(np.nextafter(np.float32(exactly), np.float32(2)))
    counts = edge_purity(noisy, (exactly, just_above), [CLOSE], 2.0)[CLOSE]
    assert counts.kept[0] > counts.kept[1]


def test_without_masks_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    image = smooth_noise(0, 16, 16)
    dataset = data_set(tmp_path, [image], [{"image_id": 0, "bbox": [0, 0, 8, 8]}], short_side=16)
    with pytest.raises(ValueError, match=r"instances\.json: no instance has a mask"):
        edge_purity(dataset, (0.1,), [CLOSE], 2.0)


def test_thresholds_that_do_not_rise_are_refused(noisy: CocoDataset) -> None:
    with pytest.raises(ValueError, match=r"thresholds are \[0\.3, 0\.1\]"):
        edge_purity(noisy, (0.3, 0.1), [CLOSE], 2.0)
