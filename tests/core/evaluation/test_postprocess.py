"""Selection, NMS and pasting: hand-worked cases, a per-pixel oracle and AdelaiDet's inference (golden j)."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from core.evaluation.postprocess import (
    detect,
    encode_masks,
    paste_masks,
    paste_region_masks,
    rescale_boxes,
)
from core.evaluation.selection import select_detections
from core.geometry import pyramid_locations
from core.model.mask_head import MaskHead
from core.structures import Batch, Detections, Predictions, Regions

SETTINGS = {"score_threshold": 0.05, "max_candidates": 1000, "nms_threshold": 0.6, "max_detections": 100}
COORDINATE_SCALES = torch.tensor([64.0, 128, 256, 512, 1024])  # CondInst, per level


def predictions_of(
    class_probabilities: Float[Tensor, "P K"],
    ltrb: Float[Tensor, "P 4"],
    *,
    centerness: Float[Tensor, " P"] | None = None,
    level_sizes: tuple[tuple[int, int], ...] = ((1, 4),),
) -> Predictions:
    """Predictions of one image; centerness is 1 unless it is given."""
    locations, level_index, strides = pyramid_locations(list(level_sizes), [8, 16, 32][: len(level_sizes)])
    if centerness is None:
        centerness = torch.ones(len(locations))
    return Predictions(
        class_logits=torch.logit(class_probabilities)[None],
        ltrb=ltrb[None],
        centerness_logits=torch.logit(centerness)[None],
        locations=locations,
        level_index=level_index,
        strides=strides,
        box_tower=[],
        mask_features=torch.zeros(1, 8, 4, 4),
    )


def batch_of(image_sizes: list[tuple[int, int]], original_sizes: list[tuple[int, int]]) -> Batch:
    images = torch.zeros(len(image_sizes), 3, 32, 32, dtype=torch.uint8)
    return Batch(images, [], image_sizes, list(range(len(image_sizes))), original_sizes, [0] * len(image_sizes))


class Replay(nn.Module):
    """A network that gives recorded predictions; masks come from `mask_logits(image_index, location_index)`."""

    def __init__(self, predictions: Predictions, mask_logits: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.predictions = predictions
        self.mask_logits = mask_logits

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Predictions:
        return self.predictions

    def predict_masks(
        self,
        predictions: Predictions,
        image_index: Int64[Tensor, " N"],
        location_index: Int64[Tensor, " N"],
        num_per_image: list[int],
    ) -> Float[Tensor, "N h w"]:
        return self.mask_logits(image_index, location_index)


def decode(masks: list[dict]) -> np.ndarray:
    return np.stack([coco_mask.decode(mask) for mask in masks])


def test_threshold_is_on_the_product_and_the_score_is_its_root() -> None:
    # products: 0.5*0.5 = 0.25, 0.5*0.09 = 0.045 (below 0.05), 0.06*1 = 0.06, 0.049*1 (below)
    # cells lie 8 px apart and boxes are 8 px wide: no overlap
    predictions = predictions_of(
        torch.tensor([[0.5], [0.5], [0.06], [0.049]]),
        torch.full((4, 4), 0.5),
        centerness=torch.tensor([0.5, 0.09, 1.0, 1.0]),
    )
    found = select_detections(predictions, **SETTINGS)[0]
    assert found.location_index.tolist() == [0, 2]
    torch.testing.assert_close(found.scores, torch.tensor([0.25, 0.06]).sqrt())


def test_a_product_equal_to_the_threshold_is_no_detection() -> None:
    # 0.5 exactly: of the logit 0, and a centerness of 1 (its logit is infinite)
    predictions = predictions_of(torch.tensor([[0.5], [0.6], [0.01], [0.01]]), torch.full((4, 4), 0.1))
    found = select_detections(predictions, **(SETTINGS | {"score_threshold": 0.5}))[0]
    assert found.location_index.tolist() == [1]


def test_boxes_are_measured_in_strides_from_the_location_and_may_leave_the_image() -> None:
    # stride 8, cell 1 at (12, 4); ltrb (2, 1, 3, 4) strides = (16, 8, 24, 32) px
    probabilities = torch.tensor([[0.01], [0.9], [0.01], [0.01]])
    found = select_detections(predictions_of(probabilities, torch.tensor([[2.0, 1, 3, 4]] * 4)), **SETTINGS)[0]
    assert found.boxes.tolist() == [[-4, -4, 36, 36]]


def test_overlapping_boxes_of_one_class_are_suppressed_and_those_of_two_are_not() -> None:
    # Boxes of 80 px around locations 8 px apart: IoU = 72/88 = 0.82 > 0.6.
    probabilities = torch.tensor([[0.6, 0.01], [0.9, 0.01], [0.01, 0.8], [0.01, 0.7]])
    found = select_detections(predictions_of(probabilities, torch.full((4, 4), 5.0)), **SETTINGS)[0]
    assert found.location_index.tolist() == [1, 2]
    assert found.labels.tolist() == [0, 1]


def test_one_location_may_answer_for_several_classes() -> None:
    probabilities = torch.tensor([[0.6, 0.9], [0.01, 0.01], [0.01, 0.01], [0.01, 0.01]])
    found = select_detections(predictions_of(probabilities, torch.ones(4, 4)), **SETTINGS)[0]
    assert found.location_index.tolist() == [0, 0]
    assert found.labels.tolist() == [1, 0]


def test_candidates_are_limited_on_each_level_by_itself() -> None:
    # level 0 has 4 locations, level 1 has 2; no boxes overlap. The two best of level 0, both of level 1.
    probabilities = torch.tensor([[0.9], [0.6], [0.8], [0.7], [0.3], [0.2]])
    predictions = predictions_of(probabilities, torch.full((6, 4), 0.1), level_sizes=((1, 4), (1, 2)))
    for limit, expected in ((1, [0, 4]), (2, [0, 2, 4, 5]), (3, [0, 2, 3, 4, 5]), (4, [0, 2, 3, 1, 4, 5])):
        found = select_detections(predictions, **(SETTINGS | {"max_candidates": limit}))[0]
        assert found.location_index.tolist() == expected


def test_ties_with_the_last_kept_score_are_kept() -> None:
    predictions = predictions_of(torch.tensor([[0.9], [0.5], [0.5], [0.4]]), torch.full((4, 4), 0.1))
    found = select_detections(predictions, **(SETTINGS | {"max_detections": 2}))[0]
    assert sorted(found.location_index.tolist()) == [0, 1, 2]


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


def interpolate_row(values: list[float], position: float) -> float:
    """Linear interpolation between list entries, clamped at both ends."""
    position = min(max(position, 0.0), len(values) - 1.0)
    left = min(int(position), len(values) - 2)
    return values[left] + (position - left) * (values[left + 1] - values[left])


@pytest.mark.parametrize(("image_width", "original_width"), [(16, 16), (13, 13), (14, 31), (16, 7)])
def test_pasting_interpolates_probabilities_twice(image_width: int, original_width: int) -> None:
    logits = [-2.0, 4.0, -0.5, 0.3]  # of grid cells 0..3; all rows are equal
    probabilities = [1 / (1 + np.exp(-value)) for value in logits]
    # pixel x of the input image looks at cell (x - 2) / 4 ...
    row = [interpolate_row(probabilities, (x - 2) / 4) for x in range(image_width)]
    # ... pixel x of the file at input pixel (x + 1/2) * image_width / original_width - 1/2
    ratio = image_width / original_width
    expected = [interpolate_row(row, (x + 0.5) * ratio - 0.5) > 0.5 for x in range(original_width)]
    assert 0 < sum(expected) < original_width
    masks = paste_masks(torch.tensor(logits).expand(1, 5, 4), (20, image_width), (20, original_width))
    assert (decode(masks)[0] == np.array(expected)).all()


@pytest.mark.parametrize("original_width", [16, 32])
def test_a_pixel_of_probability_one_half_is_outside_of_the_mask(original_width: int) -> None:
    # AdelaiDet compares with > 0.5. A mask of nothing but 0.5 is empty, whether it is enlarged once or twice.
    undecided = torch.zeros(1, 4, 4)
    assert not decode(paste_masks(undecided, (16, 16), (original_width, original_width))).any()


def test_the_pixel_half_way_from_a_full_cell_to_an_empty_one_is_outside_of_the_mask() -> None:
    # Cells 0 and 1 hold 1, cells 2 and 3 hold 0 (exactly: exp(200) is more than float32 holds). They stand for the
    # pixels 2, 6, 10, 14: pixel 7 has 0.75, pixel 8 has 0.5, pixel 9 has 0.25.
    logits = torch.tensor([200.0, 200.0, -200.0, -200.0]).expand(1, 4, 4)
    (mask,) = decode(paste_masks(logits, (16, 16), (16, 16)))
    assert (mask == (np.arange(16) < 8)).all()
    (turned,) = decode(paste_masks(logits.mT, (16, 16), (16, 16)))
    assert (turned == mask.T).all()


def test_a_pixel_whose_middle_lies_on_the_side_of_a_region_is_outside_of_its_mask() -> None:
    # Full cells fall to one half of their probability at the side of the box: 0.5 at x = 2.5 and at x = 6.5.
    (mask,) = decode(paste_region_masks(torch.ones(1, 4, 4), torch.tensor([[2.5, 0.0, 6.5, 4.0]]), (4, 8)))
    assert np.flatnonzero(mask.any(0)).tolist() == [3, 4, 5]


def test_padding_does_not_reach_the_mask() -> None:
    # An image of 16x16 px, padded to 32x32. Cells 0..3 lie inside; what is right of pixel 16 must not blur into
    # the enlarged mask: with the second half empty, a mask over the whole image stays a mask over the whole image.
    logits = torch.full((1, 8, 8), -20.0)
    logits[:, :5, :5] = 20.0
    assert decode(paste_masks(logits, (16, 16), (48, 48))).all()


def test_masks_are_not_cut_to_the_box() -> None:
    predictions = predictions_of(torch.tensor([[0.9], [0.01], [0.01], [0.01]]), torch.full((4, 4), 0.125))
    network = Replay(predictions, lambda image_index, _: torch.ones(len(image_index), 8, 8))
    (found,) = detect(network, batch_of([(32, 32)], [(32, 32)]), **SETTINGS)
    assert coco_mask.area(found.masks).tolist() == [32 * 32]
    assert found.boxes.tolist() == [[3, 3, 5, 5]]


def test_a_full_mask_fills_the_pixels_whose_middle_lies_in_its_box() -> None:
    masks = decode(paste_region_masks(torch.ones(1, 4, 4), torch.tensor([[1.6, 2.0, 5.6, 7.4]]), (9, 8)))[0]
    # middles from 2.5 to 4.5 and 5.5 lie between 1.6 and 5.6; those from 2.5 to 6.5 between 2.0 and 7.4
    expected = np.zeros((9, 8), dtype=np.uint8)
    expected[2:7, 2:6] = 1
    np.testing.assert_array_equal(masks, expected)


def test_a_region_mask_is_interpolated_between_the_middles_of_its_cells() -> None:
    # Two cells of 4 pixels, their middles at 2 and 6. Along a row in the middle, pixels 0 to 4 hold 5/8 and 7/8 of 0.9
    # (it falls to 0 beyond the cell), then 0.8, 0.6, 0.4: the first four pass 0.5. Rows 1 and 6 hold 7/8 of that:
    # 0.49, 0.69, 0.70, 0.53; rows 0 and 7 hold 5/8: at most 0.5.
    probabilities = torch.tensor([[[0.9, 0.1], [0.9, 0.1]]])
    boxes = torch.tensor([[0.0, 0, 8, 8]])
    (mask,) = decode(paste_region_masks(probabilities, boxes, (8, 8)))
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[1:7, 1:4] = 1
    expected[2:6, 0] = 1
    np.testing.assert_array_equal(mask, expected)
    (turned,) = decode(paste_region_masks(probabilities.mT, boxes, (8, 8)))
    np.testing.assert_array_equal(turned, mask.T)


@pytest.mark.parametrize("pixel_budget", [1, 5000])
def test_region_masks_do_not_depend_on_the_pixel_budget(pixel_budget: int) -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(7, 28, 28, generator=generator)
    boxes = torch.tensor([[3.0, 5, 31, 29]]) + torch.arange(7)[:, None]
    whole = paste_region_masks(probabilities, boxes, (40, 50))
    assert paste_region_masks(probabilities, boxes, (40, 50), pixel_budget=pixel_budget) == whole
    assert paste_region_masks(probabilities[:0], boxes[:0], (40, 50)) == []


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


@pytest.mark.parametrize("pixel_budget", [1, 5000, 10**9])
def test_result_does_not_depend_on_the_pixel_budget(pixel_budget: int) -> None:
    logits = torch.randn(7, 8, 12, generator=torch.Generator().manual_seed(0))
    masks = paste_masks(logits, (30, 45), (21, 60), pixel_budget=pixel_budget)
    assert masks == [paste_masks(one[None], (30, 45), (21, 60))[0] for one in logits]


def test_zero_masks_paste_to_nothing() -> None:
    assert paste_masks(torch.zeros(0, 8, 8), (30, 30), (50, 40)) == []
    assert encode_masks(torch.zeros(0, 50, 40, dtype=torch.bool)) == []


def test_encoding_keeps_rows_and_columns_apart() -> None:
    mask = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.bool)
    encoded = encode_masks(torch.stack([mask, ~mask]))
    assert encoded[0]["size"] == [3, 4]
    np.testing.assert_array_equal(decode(encoded), torch.stack([mask, ~mask]).numpy())


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
    torch.testing.assert_close(a.boxes, b.boxes, rtol=0, atol=0)
    torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=0)
    assert a.labels.tolist() == b.labels.tolist()
    assert a.masks == b.masks


def golden_network(arrays: dict[str, np.ndarray]) -> tuple[Replay, Batch, dict]:
    """The recorded raw heads as a network, its two images and the recorded settings."""
    level_sizes = [(int(height), int(width)) for height, width in arrays["level_hw"]]
    locations, level_index, strides = pyramid_locations(level_sizes, arrays["strides"].tolist())
    predictions = Predictions(
        torch.from_numpy(arrays["logits"]),
        torch.from_numpy(arrays["reg"]),
        torch.from_numpy(arrays["ctr"])[..., 0],
        locations,
        level_index,
        strides,
        [],
        torch.from_numpy(arrays["mask_feats"]),
    )
    params = torch.from_numpy(arrays["params_f16"]).float()
    head = MaskHead(feature_channels=arrays["mask_feats"].shape[1], channels=8, num_layers=3)

    def mask_logits(image_index: Tensor, location_index: Tensor) -> Tensor:
        return head(
            predictions.mask_features,
            params[image_index, location_index],
            image_index,
            locations[location_index],
            COORDINATE_SCALES[level_index[location_index]],
        )

    sizes = [[(int(height), int(width)) for height, width in arrays[f"{kind}_sizes"]] for kind in ("image", "output")]
    height, width = arrays["padded_size"].tolist()
    images = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    settings = {
        "score_threshold": float(arrays["pre_nms_thresh"]),
        "max_candidates": int(arrays["pre_nms_topk"]),
        "nms_threshold": float(arrays["nms_thresh"]),
        "max_detections": int(arrays["post_nms_topk"]),
    }
    return Replay(predictions, mask_logits), Batch(images, [], sizes[0], [0, 1], sizes[1], [0, 0]), settings


@pytest.mark.parametrize("image", [0, 1])
def test_golden_survivors_of_nms(golden: Callable, image: int) -> None:
    arrays = golden("j_inference_condinst")
    network, _, settings = golden_network(arrays)
    found = select_detections(network.predictions, **settings)[image]
    np.testing.assert_array_equal(found.labels, arrays[f"nms_pred_classes_im{image}"])
    np.testing.assert_array_equal(
        network.predictions.locations[found.location_index], arrays[f"nms_locations_im{image}"]
    )
    np.testing.assert_array_equal(
        network.predictions.level_index[found.location_index], arrays[f"nms_fpn_levels_im{image}"]
    )
    np.testing.assert_allclose(found.scores, arrays[f"nms_scores_im{image}"], atol=1e-6)
    if f"nms_boxes_im{image}" in arrays:
        np.testing.assert_allclose(found.boxes, arrays[f"nms_boxes_im{image}"], atol=1e-4, rtol=1e-6)


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
