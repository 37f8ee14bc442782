import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from core.datasets.transforms import View, apply_to_polygons, apply_view, bottom_rows, random_view, resized_shape

SETTINGS = {
    "short_sides": (20, 30),
    "long_side_max": 60,
    "flip_probability": 0.5,
    "color_jitter": 0.2,
    "scale_range": (0.5, 2.0),
    "seed": 1,
}


def resize_only(height: int, width: int, flipped: bool = False) -> View:
    return View((height, width), (0, 0, height, width), flipped, None)


def test_resized_shapes_match_golden(golden):
    for short, long, height, width, *expected in golden("p_resize")["shapes_short_max_h_w_newh_neww"].tolist():
        assert resized_shape(height, width, short, long) == tuple(expected)


def test_the_limit_of_the_long_side_rounds_as_detectron2_does() -> None:
    # 672 / 450 * 1116 = 1666.56; 672 * (1333 / 1666.56) lies just under 537.5, while 450 * (1333 / 1116) is 537.5
    assert resized_shape(1116, 450, 672, 1333) == (1333, 537)
    assert resized_shape(450, 1116, 672, 1333) == (537, 1333)


def test_resized_pixels_match_golden(golden):
    values = golden("p_resize")
    image = Image.fromarray(values["image_uint8"])
    names = [name for name in values if name.startswith(("up_", "down_"))]
    assert names
    for name in names:
        resized = apply_view(image, resize_only(*values[name].shape[:2]))
        np.testing.assert_array_equal(np.asarray(resized), values[name])


def test_resized_and_flipped_boxes_match_golden(golden):
    values = golden("p_resize")
    size = values["image_uint8"].shape[:2]
    (up,) = (values[name].shape[:2] for name in values if name.startswith("up_"))
    (flipped,) = (values[name] for name in values if name.startswith("boxes_hflip"))
    boxes = tv_tensors.BoundingBoxes(torch.from_numpy(values["boxes"]), format="XYXY", canvas_size=size)
    # transforms.v2 scales boxes by a float32 ratio: 1e-7 of a coordinate
    np.testing.assert_allclose(apply_view(boxes, resize_only(*up)).numpy(), values["boxes_up"], rtol=1e-7)
    np.testing.assert_allclose(apply_view(boxes, resize_only(*size, flipped=True)).numpy(), flipped, rtol=1e-12)


def test_a_view_depends_on_seed_epoch_and_index_alone():
    view = random_view(24, 40, 3, 5, **SETTINGS)
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    assert random_view(24, 40, 3, 5, **SETTINGS) == view
    assert random_view(24, 40, 4, 5, **SETTINGS) != view
    assert random_view(24, 40, 3, 6, **SETTINGS) != view
    assert random_view(24, 40, 3, 5, **SETTINGS | {"seed": 2}) != view


def test_random_views_cover_what_the_settings_allow():
    views = [random_view(24, 40, 0, index, **SETTINGS | {"scale_range": None}) for index in range(64)]
    assert {view.resized for view in views} == {(20, 33), (30, 50)}
    assert {view.flipped for view in views} == {False, True}
    factors = np.array([view.color_factors for view in views])
    assert factors.min() >= 0.8
    assert factors.max() <= 1.2


def test_a_zoomed_view_is_cropped_to_the_unzoomed_size_and_never_padded():
    for index in range(64):
        view = random_view(24, 40, 0, index, **SETTINGS | {"short_sides": (24,)})
        top, left, height, width = view.window
        assert height == min(view.resized[0], 24)
        assert width == min(view.resized[1], 40)
        assert 0 <= top <= view.resized[0] - height
        assert 0 <= left <= view.resized[1] - width


def test_settings_that_leave_nothing_to_chance_give_the_plain_image():
    settings = {"short_sides": (24,), "flip_probability": 0.0, "color_jitter": 0.0, "scale_range": None}
    assert random_view(24, 40, 2, 9, **SETTINGS | settings) == resize_only(24, 40)


def test_polygons_flip_as_coordinates_and_may_leave_the_canvas():
    view = View((20, 20), (5, 0, 15, 20), flipped=True, color_factors=None)
    # Resize by 2, move up by 5, x -> 20 - x.
    assert apply_to_polygons([[1, 1, 4, 2, 4, 6], [0, 0, 10, 0, 10, 10]], view, (10, 10)) == [
        [18, -3, 12, -1, 12, 7],
        [20, -5, 0, -5, 0, 15],
    ]


def test_masks_take_the_nearest_pixel():
    mask = torch.tensor([[[1, 0, 0], [0, 0, 1]]], dtype=torch.uint8)
    doubled = apply_view(mask, resize_only(4, 6))
    assert torch.equal(doubled, mask.repeat_interleave(2, 1).repeat_interleave(2, 2))


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (resize_only(50, 50), 5),  # 10 rows of 100, at half the size
        (View((200, 200), (0, 0, 100, 100), False, None), 0),  # the crop leaves the bottom out
        (View((200, 200), (95, 0, 100, 100), False, None), 15),  # 20 rows, 5 of them cropped
    ],
)
def test_ignored_rows_are_counted_in_the_view(view, expected):
    assert bottom_rows(view, 10, 100) == expected
