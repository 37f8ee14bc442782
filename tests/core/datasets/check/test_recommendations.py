"""The size of the views and the length of a training that a data set asks for."""

import pytest

from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.recommendations import (
    ViewSize,
    epochs_for,
    evaluate_every,
    resized,
    settings_for,
    size_line,
    view_candidates,
)
from tests.core.datasets.conftest import annotation

CONFIG = build_config(load_recipe("own"), "own")
DATA = CONFIG.data


@pytest.fixture
def records(write):
    """Records of one photo of 1000 x 800 px with square boxes of these sides."""

    def records_of(*sides, width=1000, height=800):
        boxes = [annotation(i, bbox=[10, 10, side, side]) for i, side in enumerate(sides)]
        root = write(boxes, images=[{"id": 7, "file_name": "7.png", "width": width, "height": height}])
        return AnnotationFile.read(root / "instances_train.json", root / "train").images

    return records_of


def test_views_grow_until_few_boxes_are_small(records):
    # boxes of 50 px in 1000: 24 px from a view of 480 px on
    found = view_candidates(records(50, 50, 100), DATA)
    assert [size.side for size in found] == [256, 320, 384, 448, 512]
    assert [size.small_share for size in found] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2 / 3, 0])
    assert len(view_candidates(records(*[50] + [100] * 9), DATA)) == 1  # one of ten may be small


def test_views_grow_no_further_than_the_photos_and_the_limit(records):
    assert view_candidates(records(2, width=600, height=400), DATA)[-1] == ViewSize(640, 1.0)
    assert view_candidates(records(2, width=4000, height=3000), DATA)[-1].side == 1024
    assert view_candidates(records(2, width=100, height=80), DATA) == [ViewSize(256, 1.0)]
    assert view_candidates([], DATA) == [ViewSize(256, 0.0)]


def test_all_sizes_of_a_recipe_grow_together():
    data = DATA.model_copy(update={"short_sides": (128, 256), "long_side_max": 426, "val_short_side": 256})
    doubled = resized(data, 512)
    assert (doubled.short_sides, doubled.long_side_max, doubled.val_short_side) == ((256, 512), 852, 512)
    assert resized(data, 256) == data


def test_settings_are_those_that_differ_with_a_zoom_where_boxes_stay_small():
    assert settings_for(CONFIG, ViewSize(256, 0.1)) == {}
    assert settings_for(CONFIG, ViewSize(384, 0.05)) == {
        "data.short_sides": (384,),
        "data.val_short_side": 384,
        "data.long_side_max": 384,
    }
    zoom = {"data.scale_range": (1.0, 2.0)}
    assert settings_for(CONFIG, ViewSize(256, 0.11)) == zoom | {"loss.pairwise_warmup": 1.0}
    assert settings_for(changed({"loss": {"pairwise_warmup": 1.0}}), ViewSize(256, 0.11)) == zoom
    assert settings_for(changed({"loss": {"pairwise": 0}}), ViewSize(256, 0.11)) == zoom
    assert settings_for(changed({"data": {"scale_range": (0.5, 1.5)}}), ViewSize(256, 0.11)) == {}


def changed(changes):
    return build_config(merge(load_recipe("own"), changes), "test")


def test_the_line_gives_the_reasons():
    small = [ViewSize(256, 0.6), ViewSize(320, 0.3)]
    line = size_line(DATA, small, small[1])
    assert line.startswith("320 px: 30% of the boxes are under 24 px there, 60% at the recipe's 256 px; larger: ")
    assert "the photos have no more pixels. data.scale_range zooms into random crops" in line
    assert "larger: 320 px would take 4 hours. data" in size_line(DATA, small, small[0], "320 px would take 4 hours")
    assert "larger: the limit of this advice" in size_line(DATA, small, ViewSize(1024, 0.3))
    assert size_line(DATA, small, ViewSize(320, 0.1)).endswith("60% at the recipe's 256 px")


@pytest.mark.parametrize(
    ("num_images", "epochs", "every"),
    [
        (120, 80, 27),  # 15 steps an epoch
        (5, 1200, 400),  # one step, in which photos repeat
        (127, 80, 27),  # 15 whole steps
        (640, 15, None),  # 80 steps: those of the recipe
        (5000, 15, None),  # never fewer
    ],
)
def test_few_photos_get_more_epochs_and_as_many_evaluations(num_images, epochs, every):
    assert epochs_for(CONFIG, num_images) == epochs
    assert evaluate_every(CONFIG, epochs) == every


def test_a_recipe_in_steps_keeps_its_schedule():
    in_steps = build_config(merge(load_recipe("own"), {"training": {"steps": 10, "epochs": None}}), "test")
    assert epochs_for(in_steps, 5) is None
    only_at_the_end = build_config(merge(load_recipe("own"), {"training": {"evaluate_every": None}}), "test")
    assert evaluate_every(only_at_the_end, 80) is None
