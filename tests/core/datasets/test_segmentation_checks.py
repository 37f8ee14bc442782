"""What is refused before pycocotools sees it, and what is not."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.datasets.segmentation_checks import run_lengths, segmentation_problem


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[0, 0, 4, 0, 4]], "polygon is"),
        ([[0, 0, 4, 0, 4, float("inf")]], "not finite"),
        (["0,0"], "polygon is"),
        ("0,0", "expected polygons or a run-length encoding"),
        ({"size": [4, 5], "counts": [19]}, "covers 19 pixels, expected 20"),
        ({"size": [5, 4], "counts": [20]}, r"has size \[5, 4\], expected \[4, 5\]"),
        ({"size": [4, 5]}, "has counts None"),
        ({"size": [4, 5], "counts": ["a"]}, r"has counts \['a'\], expected a list of integers"),
        ({"size": [4, 5], "counts": 20}, "has counts 20, expected a list of integers"),
        ({"size": [4, 5], "counts": [25, -5]}, "has a run of -5 pixels, expected none below 0"),
        # 'c' = 48 + 32 + 19 and '0' = 48 + 0: 19 pixels
        ({"size": [4, 5], "counts": "c0"}, "covers 19 pixels, expected 20"),
        ({"size": [4, 5], "counts": ""}, "covers 0 pixels, expected 20"),
        # 'i' = 48 + 32 + 25 and '0': 25; 'K' = 48 + 27, whose highest bit is the sign: 27 - 32
        ({"size": [4, 5], "counts": "i0K"}, "has a run of -5 pixels, expected none below 0"),
        ({"size": [4, 5], "counts": "zz"}, "has counts 'zz', expected"),  # 'z' = 48 + 74 is more than six bits
        ({"size": [4, 5], "counts": "d"}, "has counts 'd', expected"),  # ends within a number
        ({"size": [4, 5], "counts": "d0\u20ac"}, "has counts 'd0\u20ac', expected"),
        ({"size": [4, 5], "counts": "d0\ud800"}, "expected a list of integers"),
    ],
)
def test_a_malformed_segmentation_is_described(segmentation, message):
    with pytest.raises(ValueError, match=message):
        raise ValueError(segmentation_problem(segmentation, 4, 5))


@pytest.mark.parametrize(
    "segmentation",
    [[], [[0, 0, 4, 0, 4, 4]], [[1, 1]], {"size": [4, 5], "counts": "d0"}, {"size": [4, 5], "counts": [0, 20]}],
)
def test_a_sound_segmentation_has_no_problem(segmentation):
    assert segmentation_problem(segmentation, 4, 5) is None


@pytest.mark.parametrize("height_width", [(1, 1), (7, 5), (160, 160), (300, 1200)])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999, 1.0])
def test_run_lengths_are_those_that_pycocotools_wrote(height_width, share):
    # Few pixels of many: runs of up to 360,000 take four characters; differences of both signs
    mask = np.random.default_rng(0).random(height_width) < share
    encoding = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    runs = run_lengths(encoding["counts"])
    assert run_lengths(encoding["counts"].decode()) == runs
    assert sum(runs) == mask.size
    values = np.repeat(np.arange(len(runs)) % 2, runs)
    np.testing.assert_array_equal(values.reshape(height_width, order="F"), coco_mask.decode(encoding))
    assert segmentation_problem(encoding, *height_width) is None


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        # 40 x 24 pixels: x from -40 to 80, y from -24 to 48
        ([[4, 8, 20, 8, 1e9, 16]], "polygon has x 1000000000.0, expected -40 to 80 in an image of 40 x 24 pixels"),
        ([[4, 8, 20, 8, 81, 16]], "polygon has x 81, expected -40 to 80"),
        ([[4, 8, 20, -25, 8, 16]], "polygon has y -25, expected -24 to 48"),
        ([[4, 8, 20, 8, 20, 16], [0, 0, 0, 10**400, 5, 5]], "polygon has y 1000"),
        ([[0, 0, -1e308, 1, 2, 2]], r"polygon has x -1e\+308"),
        # There and back 100 times: 100 * 2 * 40 px; all pixels have 4 * (40 * 24 + 40 + 24) = 4096 px around them
        ([[0, 0, 40, 0] * 100], "polygon of 200 vertices is 8000 px around, expected at most 4096"),
        ([[True, 8, 20, 8, 20, 16]], "polygon is .True, 8, 20"),
        ([[4, 8, 20, 8, 20, "16"]], "polygon is"),
        ([[4, 8, 20, 8, 20, None]], "polygon is"),
        ([[4, 8, 20, 8, 20, [16]]], "polygon is"),
        ([[4, 8, 20, 8, 20, 16], {"size": [24, 40], "counts": [960]}], "polygon is {'counts'"),
        ([4, 8, 20, 8, 20, 16], "polygon is 4, expected a list"),
        ([[[4, 8], [20, 8], [20, 16]]], "polygon is"),
        ([[4, 8], [20, 8], [20, 16]], r"segmentation is \[\[4, 8\], \[20, 8\], \[20, 16\]\], pairs x, y; expected"),
        ([[float("nan")] * 6], "not finite"),
        ({"size": [24.0, 40], "counts": [960]}, r"has size \[24.0, 40\], expected \[24, 40\]"),
        ({"size": None, "counts": [960]}, "has size None"),
        ({}, "has size None"),
        ({"size": [24, 40], "counts": [True, 959]}, "has counts .True, 959., expected a list of integers"),
        ({"size": [24, 40], "counts": [960.0]}, "has counts .960.0., expected a list of integers"),
        ({"size": [24, 40], "counts": [2**40, -(2**40), 960]}, "has a run of -1099511627776 pixels"),
        ({"size": [24, 40], "counts": [10**400]}, "covers 1000"),
        ({"size": [24, 40], "counts": "o" * 10_000}, "expected a list of integers or its compressed form"),
        ({"size": [24, 40], "counts": "PPPPPPN0"}, "expected a list of integers or its compressed form"),  # 7 continue
    ],
)
def test_what_would_overflow_or_fill_the_memory_is_refused(segmentation, message):
    problem = segmentation_problem(segmentation, 24, 40)
    with pytest.raises(ValueError, match=message):
        raise ValueError(problem)
    assert len(problem) < 300


@pytest.mark.parametrize(
    "segmentation",
    [
        [[-3, -2, 43, -2, 43, 26, -3, 26]],
        [[-40, -24, 80, -24, 80, 48, -40, 48]],  # the whole margin
        [[4.5, 8, 20, 8, 20, 16], [1, 1], [1, 1, 2, 2]],
        [[1, 1], [2, 2]],
    ],
)
def test_an_overhang_is_taken_and_gives_the_mask_of_its_part_in_the_image(segmentation):
    assert segmentation_problem(segmentation, 24, 40) is None
    parts = [part for part in segmentation if len(part) >= 6]
    moved = [[value + 40 for value in part] for part in parts]
    for part, beside in zip(parts, moved, strict=True):  # the same polygon in the middle of an image that holds it
        (mask,) = coco_mask.frPyObjects([part], 24, 40)
        (whole,) = coco_mask.frPyObjects([beside], 24 + 80, 40 + 80)
        np.testing.assert_array_equal(coco_mask.decode(mask), coco_mask.decode(whole)[40:64, 40:80])
