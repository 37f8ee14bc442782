"""Detections of whole batches: their boxes and masks in the file, by hand and as AdelaiDet's inference (golden j)."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from core.evaluation.postprocess import detect, rescale_boxes
from core.geometry import pyramid_locations
from core.structures import Batch, Detections, Predictions, Regions
from tests.core.evaluation.replay import SETTINGS, Replay, batch_of, decode, golden_network, predictions_of


def test_no_candidate_gives_no_detection() -> None:
    predictions = predictions_of(torch.full((4, 2), 0.01), torch.ones(4, 4))
    network = Replay(predictions, lambda image_index, _: torch.zeros(len(image_index), 8, 8))
    (found,) = detect(network, batch_of([(32, 32)], [(32, 32)]), **SETTINGS)
    assert found.boxes.shape == (0, 4)
    assert found.masks == []


def test_boxes_are_scaled_to_the_file_and_clipped() -> None:
    # (height, width) 40x80 -> 20x160: x doubles, y halves
    boxes = torch.tensor([[-3.0, 4, 30, 50], [90.0, 0, 95, 10]])
    expected = torch.tensor([[0.0, 2, 60, 20], [160.0, 0, 160, 5]])
    torch.testing.assert_close(rescale_boxes(boxes, (40, 80), (20, 160)), expected)


def test_detections_whose_box_vanishes_are_dropped_before_they_get_a_mask() -> None:
    # Four locations at x = 4, 12, 20, 28 with boxes of 2 px; the image is 16 px wide, so the last two lie outside.
    asked_for = []

    def masks(image_index: Tensor, location_index: Tensor) -> Tensor:
        asked_for.extend(location_index.tolist())
        return torch.ones(len(location_index), 8, 8)

    predictions = predictions_of(torch.tensor([[0.6], [0.9], [0.7], [0.8]]), torch.full((4, 4), 0.125))
    (found,) = detect(Replay(predictions, masks), batch_of([(32, 16)], [(64, 32)]), **SETTINGS)
    assert found.boxes.tolist() == [[22, 6, 26, 10], [6, 6, 10, 10]]
    assert asked_for == [1, 0]
    assert [mask["size"] for mask in found.masks] == [[64, 32]] * 2


def test_masks_are_not_cut_to_the_box() -> None:
    predictions = predictions_of(torch.tensor([[0.9], [0.01], [0.01], [0.01]]), torch.full((4, 4), 0.125))
    network = Replay(predictions, lambda image_index, _: torch.ones(len(image_index), 8, 8))
    (found,) = detect(network, batch_of([(32, 32)], [(32, 32)]), **SETTINGS)
    assert coco_mask.area(found.masks).tolist() == [32 * 32]
    assert found.boxes.tolist() == [[3, 3, 5, 5]]


class RegionNetwork(nn.Module):
    """Three regions an image, the middle one a line on the border of the image; notes the boxes that get a mask."""

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Regions:
        boxes = torch.tensor([[4.0, 4, 12, 12], [32, 0, 32, 8], [8, 8, 24, 16]])
        return Regions([boxes] * 2, [torch.tensor([0.9, 0.8, 0.7])] * 2, [torch.tensor([1, 0, 2])] * 2, {}, (32, 32))

    def predict_masks(
        self, regions: Regions, image_index: int, boxes: Float[Tensor, "N 4"], labels: Int64[Tensor, " N"]
    ) -> Float[Tensor, "N m m"]:
        self.boxes = boxes
        return torch.full((len(boxes), 28, 28), 20.0)


def test_regions_are_put_into_the_file_and_masks_asked_for_in_the_input() -> None:
    network = RegionNetwork()
    nothing = Batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), [], [(32, 32)] * 2, [1, 2], [(64, 32)] * 2, [0, 0])
    thresholds = {"score_threshold": 0.99, "max_candidates": 1, "nms_threshold": 0.0}
    first, _ = detect(network, nothing, **thresholds, max_detections=3)
    assert first.boxes.tolist() == [[4, 8, 12, 24], [8, 16, 24, 32]]
    assert first.labels.tolist() == [1, 2]
    assert network.boxes.tolist() == [[4, 4, 12, 12], [8, 8, 24, 16]]
    assert decode(first.masks).sum((1, 2)).tolist() == [8 * 16, 16 * 16]
    assert len(detect(network, nothing, **thresholds, max_detections=1)[1].scores) == 1


def test_images_of_a_batch_do_not_mix() -> None:
    generator = torch.Generator().manual_seed(0)
    locations, level_index, strides = pyramid_locations([(4, 4), (2, 2)], [8, 16])
    both = Predictions(
        torch.randn(2, 20, 3, generator=generator),
        torch.rand(2, 20, 4, generator=generator) * 2,
        torch.randn(2, 20, generator=generator),
        locations,
        level_index,
        strides,
        [],
        torch.zeros(2, 8, 4, 4),
    )
    maps = torch.randn(2, 20, 8, 8, generator=generator)
    sizes, files = [(32, 32), (25, 30)], [(32, 32), (50, 44)]
    together = detect(Replay(both, lambda image, location: maps[image, location]), batch_of(sizes, files), **SETTINGS)
    for i in range(2):
        single = Predictions(
            both.class_logits[i : i + 1],
            both.ltrb[i : i + 1],
            both.centerness_logits[i : i + 1],
            locations,
            level_index,
            strides,
            [],
            both.mask_features[i : i + 1],
        )
        network = Replay(single, lambda _, location, i=i: maps[i, location])
        (alone,) = detect(network, batch_of(sizes[i : i + 1], files[i : i + 1]), **SETTINGS)
        assert len(alone.masks) > 2
        assert_equal(alone, together[i])


def assert_equal(a: Detections, b: Detections) -> None:
    """Equal but for the last bits of a score: some CPUs compute the last numbers of a tensor in another way."""
    torch.testing.assert_close(a.boxes, b.boxes, rtol=0, atol=0)
    torch.testing.assert_close(a.scores, b.scores, rtol=3e-7, atol=0)
    assert a.labels.tolist() == b.labels.tolist()
    assert a.masks == b.masks


@pytest.mark.parametrize("image", [0, 1])
def test_golden_detections_in_the_frame_of_the_file(golden: Callable, image: int) -> None:
    arrays = golden("j_inference_condinst")
    network, batch, settings = golden_network(arrays)
    found = detect(network, batch, **settings)[image]
    np.testing.assert_array_equal(found.labels, arrays[f"final_classes_im{image}"])
    np.testing.assert_allclose(found.scores, arrays[f"final_scores_im{image}"], atol=1e-6)
    np.testing.assert_allclose(found.boxes, arrays[f"final_boxes_im{image}"], atol=1e-4, rtol=1e-6)
    shape = arrays[f"final_masks_shape_im{image}"]
    expected = np.unpackbits(arrays[f"final_masks_packed_im{image}"])[: np.prod(shape)].reshape(shape)
    # Rounding decides pixels whose probability is 0.5 to seven digits: 0 and 1 of a million and more were measured.
    assert (decode(found.masks) != expected).sum() <= max(2, 1e-5 * expected.size)
