"""Malformed masks of crowds: the check and a training take them and name them, an evaluation refuses them."""

import logging

import pytest
import torch

from core.config import DataConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.problems import notes, training_problems, validation_problems
from core.datasets.coco import build_validation_set
from core.datasets.crowd_masks import crowd_mask_note, with_sound_crowds
from tests.core.datasets.conftest import RECTANGLE, annotation
from tests.core.datasets.test_crowds import training_set

SHORT = {"size": [24, 40], "counts": [7]}  # covers 7 of 960 pixels
FOUND = "annotation 2 (image 7): run-length encoding covers 7 pixels, expected 960"


def read(root) -> AnnotationFile:
    return AnnotationFile.read(root / "instances_train.json", root / "train")


@pytest.fixture
def root(write):
    """An object, and a crowd at columns 24 to 39, rows 0 to 7, with a mask that cannot be read."""
    return write([annotation(1), annotation(2, bbox=[24, 0, 16, 8], segmentation=SHORT, iscrowd=1)])


def test_the_box_is_ignored_in_place_of_the_mask(root, caplog):
    with caplog.at_level(logging.WARNING):
        ignored = training_set(root)[0].annotations.ignored
    assert ignored.nonzero().tolist() == [[y, x] for y in (0, 1) for x in (6, 7, 8, 9)]
    file = root / "instances_train.json"
    so = "so that all of its box is ignored (data.crowds is ignore)"
    assert caplog.messages == [f"{file}: 1 crowd(s) with a malformed mask, {so}: {FOUND}"]


def test_where_crowds_are_background_their_masks_are_not_looked_at(root, caplog):
    with caplog.at_level(logging.WARNING):
        assert training_set(root, "background")[0].annotations.ignored is None
    assert caplog.messages == []


@pytest.mark.parametrize(("crowds", "so"), [("background", "which is never read"), ("ignore", "all of its box")])
def test_the_check_notes_what_a_training_takes_and_refuses_what_an_evaluation_refuses(root, crowds, so):
    file = read(root)
    assert training_problems(file) == []
    data = DataConfig(short_sides=(24,), long_side_max=40, val_short_side=24, crowds=crowds)
    (note,) = [note for note in notes(file, file, data, "own") if "crowd" in note]
    assert note.startswith(f"{file.path}: 1 crowd(s) with a malformed mask, ")
    assert so in note
    assert note.endswith(FOUND)
    assert validation_problems(file) == [FOUND]
    with pytest.raises(ValueError, match="covers 7 pixels"):
        file.check_for_evaluation()


def test_a_malformed_mask_of_an_object_in_use_is_still_refused(write):
    root = write([annotation(1, segmentation=SHORT), annotation(2, segmentation=SHORT, iscrowd=1)])
    assert training_problems(read(root)) == [FOUND.replace("annotation 2", "annotation 1")]


def test_only_malformed_masks_are_taken_away_and_only_the_first_are_shown(write):
    crowds = [annotation(i, segmentation="none", iscrowd=1) for i in range(2, 7)]
    file = read(write([annotation(1), *crowds, annotation(7, segmentation=RECTANGLE, ignore=1)]))
    (record,) = file.images
    sound = with_sound_crowds(record)
    assert [crowd.segmentation for crowd in sound.crowds] == [None] * 5 + [RECTANGLE]
    assert [crowd.box for crowd in sound.crowds] == [crowd.box for crowd in record.crowds]
    assert with_sound_crowds(sound) is sound
    note = crowd_mask_note([record], "ignore")
    assert note.count("segmentation is 'none'") == 3
    assert note.endswith("; and 2 more")
    assert crowd_mask_note([sound], "ignore") is None


def test_a_validation_set_has_regions_only_where_a_measurement_asks_for_them(root):
    data = DataConfig(short_sides=(24,), long_side_max=40, val_short_side=24, crowds="ignore")
    assert build_validation_set(read(root), data)[0].annotations.ignored is None
    ignored = build_validation_set(read(root), data, crowds="ignore")[0].annotations.ignored
    assert torch.equal(ignored, training_set(root)[0].annotations.ignored)
