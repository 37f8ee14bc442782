import numpy as np
import pytest

from core.datasets.sources.shape_drawing import CLASSES, MIN_VISIBLE_PIXELS, draw, outline, signed_distance


def test_an_image_depends_on_seed_split_and_index():
    pixels, _ = draw(0, "train", 1, 64)
    assert np.array_equal(draw(0, "train", 1, 64)[0], pixels)
    for other in ((1, "train", 1), (0, "val", 1), (0, "train", 2)):
        assert not np.array_equal(draw(*other, 64)[0], pixels)


def test_instances_are_disjoint_visible_and_of_every_class():
    names = set()
    for index in range(1, 25):
        _, instances = draw(0, "val", index, 160)
        assert 1 <= len(instances) <= 4
        assert np.sum([instance.mask for instance in instances], axis=0).max() == 1
        assert min(instance.mask.sum() for instance in instances) >= MIN_VISIBLE_PIXELS
        names |= {instance.name for instance in instances}
    assert names == set(CLASSES)


def test_shapes_differ_from_their_boxes():
    shares = {}
    for name in CLASSES:
        mask = signed_distance([(50 + 45 * x, 50 + 45 * y) for x, y in outline(name, 1.0)], 100) < 0
        shares[name] = mask.sum() / (mask.any(0).sum() * mask.any(1).sum())
    assert shares["ellipse"] == pytest.approx(0.785, abs=0.02)  # pi / 4
    assert shares["triangle"] == pytest.approx(0.5, abs=0.02)
    assert shares["star"] < 0.5
    assert shares["cross"] < 0.75


def test_signed_distance_is_that_of_a_square_by_hand():
    # A square from 1 to 5; pixel centers lie at 0.5, 1.5, ...
    distance = signed_distance([(1, 1), (5, 1), (5, 5), (1, 5)], 6)
    assert distance[3, 0] == 0.5  # (0.5, 3.5): half a pixel left of the left side
    assert distance[2, 2] == -1.5  # (2.5, 2.5): nearest are the left and the top side
    assert distance[0, 0] == pytest.approx(0.5**0.5)  # (0.5, 0.5): the corner (1, 1)
    assert (distance < 0).sum() == 16
