"""Scenes are drawn alike for equal seeds, and their objects are what their masks say."""

import numpy as np

from core.datasets.sources.scene_canvas import GROUND, Canvas
from core.datasets.sources.scene_drawing import draw, draw_front, draw_ground
from core.datasets.sources.scene_objects import MIN_FILL, MIN_VISIBLE_SHARE, SMALLEST_BOX, draw_object, is_seen
from core.datasets.sources.shape_drawing import CLASSES


def canvas(seed: int = 0, size: int = 96) -> Canvas:
    found = Canvas.empty(np.random.default_rng(seed), size)
    draw_ground(found)
    return found


def test_an_image_depends_on_seed_split_and_index():
    pixels, instances = draw(0, "train", 1, 80)
    again, same = draw(0, "train", 1, 80)
    assert np.array_equal(again, pixels)
    assert [instance.name for instance in same] == [instance.name for instance in instances]
    for other in ((1, "train", 1), (0, "val", 1), (0, "test", 1), (0, "train", 2)):
        assert not np.array_equal(draw(*other, 80)[0], pixels)


def test_instances_are_disjoint_large_enough_and_of_every_class():
    names = set()
    for index in range(1, 25):
        pixels, instances = draw(0, "val", index, 160)
        assert pixels.shape == (160, 160, 3)
        assert pixels.dtype == np.uint8
        assert instances
        assert np.sum([instance.mask for instance in instances], axis=0).max() == 1
        for instance in instances:
            height, width = np.ptp(np.argwhere(instance.mask), axis=0) + 1
            assert height * width >= (SMALLEST_BOX * 160) ** 2
            assert instance.mask.sum() >= MIN_FILL * height * width
        names |= {instance.name for instance in instances}
    assert names == set(CLASSES)


def test_earlier_objects_stay_visible():
    for seed in range(5):
        scene = canvas(seed)
        for diameter in (0.6, 0.5, 0.4, 0.3, 0.3, 0.3):
            draw_object(scene, diameter)
        assert len(scene.names) > 1
        for number, (whole, visible) in enumerate(zip(scene.whole, scene.visible, strict=True)):
            assert visible == (scene.owner == number).sum()
            assert visible >= MIN_VISIBLE_SHARE * whole


def test_an_object_without_room_is_left_out():
    scene = canvas()
    draw_object(scene, SMALLEST_BOX / 4)  # too small to be seen
    assert scene.names == []
    assert (scene.owner == GROUND).all()


def test_clutter_in_front_takes_pixels_from_objects():
    lost = 0
    for seed in range(8):
        scene = canvas(seed)
        draw_object(scene, 0.9)
        before = (scene.owner == 0).sum()
        draw_front(scene)
        assert (scene.owner == 0).sum() <= before
        lost += before - (scene.owner == 0).sum()
    assert lost > 0


def test_whether_an_object_is_seen_is_decided_by_its_box_and_what_it_fills():
    mask = np.zeros((160, 160), dtype=bool)
    mask[40:57, 40:57] = True  # 17 px: at least 16.5
    assert is_seen(mask, 160)
    assert not is_seen(mask[:, :56], 160)  # 17 x 16
    assert not is_seen(np.zeros((160, 160), dtype=bool), 160)
    frame = mask.copy()
    frame[41:56, 40:55] = False  # 33 + 15 + ... of 289 pixels: three of its sides
    assert is_seen(frame, 160)
    frame[:] = False
    frame[40, 40:57] = frame[40:57, 40] = True  # 33 of 289: 11 %
    assert not is_seen(frame, 160)
