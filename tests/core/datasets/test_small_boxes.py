"""Boxes that no view of a training shows."""

from core.config import DataConfig, SupervisionConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import build_training_set
from core.datasets.small_boxes import too_small
from tests.core.datasets.conftest import HEIGHT, WIDTH, annotation


def read(root):
    return AnnotationFile.read(root / "instances_train.json", root / "train")


def test_boxes_that_vanish_even_in_the_largest_view_are_counted_with_the_pixels(write, caplog):
    # 40 x 24 px shown at 20 x 12: a side of 1.9 px becomes 0.95, of 2 px 1
    boxes = ([4, 8, 1.9, 8], [4, 8, 2, 8], [4, 8, 8, 1.9])
    file = read(write([annotation(i, bbox=list(box)) for i, box in enumerate(boxes)]))
    half = DataConfig(short_sides=(HEIGHT // 4, HEIGHT // 2), long_side_max=WIDTH)
    expected = "2 of 3 boxes are smaller than 1 px in every view, of at most 20 px: never a target"
    assert too_small(file.images, half).startswith(expected)
    assert too_small(file.images, half.model_copy(update={"scale_range": (0.5, 1.1)})) is None
    assert too_small(file.images, half.model_copy(update={"long_side_max": WIDTH // 4})).startswith("3 of 3")
    build_training_set(file, half, SupervisionConfig(), seed=0)
    assert [message.split(": ", 1)[1].startswith(expected) for message in caplog.messages] == [True]


def test_without_images_nothing_is_too_small():
    assert too_small([], DataConfig()) is None
