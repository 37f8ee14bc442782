from collections import Counter

import numpy as np
import pytest

from core.datasets.convert.labeled import ObjectCollector, ellipse_box, is_crowd_marked, rotated


@pytest.fixture
def found() -> ObjectCollector:
    return ObjectCollector(40, 24, Counter())


def test_coordinates_are_rounded_to_thousandths(found):
    found.add_box("here", "cat", (0.1 + 0.2, 1, 2.00049, 3))
    assert found.objects()[0].box == (0.3, 1, 2, 3)


def test_boxes_may_reach_out_of_the_image_but_not_lie_there(found):
    found.add_box("here", "cat", (-40, -24, 80, 48))
    for box in ((40, 0, 50, 9), (-9, 0, 0, 9), (0, 24, 9, 30), (0, -9, 9, 0), (-41, 0, 9, 9), (0, 0, 9, 49)):
        with pytest.raises(ValueError, match=r"here: box reaches from .* outside the image of 40 x 24 pixels"):
            found.add_box("here", "cat", box)
    for box in ((0, 0, float("nan"), 9), (0, 0, True, 9), (0, 0, 9, 2**40)):
        with pytest.raises(ValueError, match=r"here: box is .*, expected four finite numbers"):
            found.add_box("here", "cat", box)
    assert len(found.objects()) == 1


def test_nothing_without_area_is_kept(found):
    found.add_box("here", "cat", (4, 4, 4, 9))
    found.add_mask("here", "cat", np.zeros((2, 2), dtype=bool))
    assert found.objects() == []
    assert sum(found.notes.values()) == 2


def test_a_polygon_between_the_centers_of_pixels_is_a_box(found):
    found.add_polygon("here", "cat", [(4.6, 4), (5.4, 4), (5.4, 8), (4.6, 8)])
    (one,) = found.objects()
    assert (one.box, one.segmentation) == ((4.6, 4, 5.4, 8), None)
    assert found.notes == {"masks without a pixel are left out, and their boxes kept": 1}


def test_a_group_has_a_mask_only_if_all_of_its_parts_have(found):
    found.add_polygon("here", "cat", [(0, 0), (4, 0), (4, 4)], group=1)
    found.add_box("here", "cat", (10, 10, 14, 14), group=1, crowd=True)
    found.add_box("here", "dog", (20, 20, 24, 24), group=1)
    both, other = found.objects()
    assert (both.box, both.segmentation, both.crowd) == ((0, 0, 14, 14), None, True)
    assert (other.class_name, other.crowd) == ("dog", False)


def test_polygons_far_outside_are_refused(found):
    with pytest.raises(ValueError, match="here: box reaches from"):
        found.add_polygon("here", "cat", [(0, 0), (90, 0), (90, 9)])
    with pytest.raises(ValueError, match=r"here: polygon is .*, expected pairs of finite numbers"):
        found.add_polygon("here", "cat", [(0, 0), (9, float("inf")), (9, 9)])


def test_corners_turn_clockwise_as_seen_on_the_image():
    # y points down: (1, 0) turns to (0, 1)
    np.testing.assert_allclose(rotated((0, 0, 2, 1), 90, (0, 0)), [(0, 0), (0, 2), (-1, 2), (-1, 0)], atol=1e-9)


def test_the_box_of_an_ellipse_is_that_of_its_points():
    angles = np.linspace(0, 2 * np.pi, 100_000)
    turned = np.radians(30)
    x, y = 5 * np.cos(angles), 2 * np.sin(angles)
    points = np.stack([7 + x * np.cos(turned) - y * np.sin(turned), 8 + x * np.sin(turned) + y * np.cos(turned)])
    np.testing.assert_allclose(ellipse_box(7, 8, 5, 2, 30), [*points.min(1), *points.max(1)], atol=1e-6)


def test_marks_of_crowds():
    assert is_crowd_marked({"Difficult": "1"})
    assert is_crowd_marked({"color": "red", "is_crowd": True})
    assert not is_crowd_marked({"difficult": "0", "crowd": None, "truncated": "1"})
