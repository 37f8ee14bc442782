"""The generated scenes are those of the table of calibration, and look like the photos there."""

import hashlib
import json

import numpy as np
import pytest

from core.appearance.measure import Sizes, measure
from core.appearance.statistics import statistics
from core.appearance.table import read_table
from core.datasets.annotation_file import AnnotationFile
from core.datasets.sources.scene_drawing import draw
from core.datasets.sources.scenes import NUM_IMAGES, SCENES
from core.datasets.sources.shape_drawing import CLASSES

NUM_SAMPLES = 40
BY_INTENT = "mask in other masks, %"  # masks of photos overlap where annotators were generous; generated ones are exact
# Tolerances, relative: numbers of 40 scenes scatter more than those of all 780, which the table holds to its bar.
SAMPLED = {
    "box fill, mean": 0.1,
    "color modes, mean": 0.25,
    "spread, 50 %": 0.25,
    "ring in the object's colors, %": 0.25,
    "size, 50 %": 0.25,
    "purity, τ = 0, %": 0.03,
    "purity, τ = 0.1, %": 0.02,
    "purity, τ = 0.3, %": 0.02,
    "edges kept, τ = 0.1, %": 0.35,
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> AnnotationFile:
    root = tmp_path_factory.mktemp("scenes") / "scenes"
    SCENES.write(root, {"val": NUM_SAMPLES})
    return AnnotationFile.read(root / "instances_val.json", root / "val")


def test_a_sample_looks_like_photos(sample):
    found, photos = statistics(measure([sample], Sizes(160, 160))), read_table()
    off = {name: found[name] / photos[name]["photos"] - 1 for name in SAMPLED}
    assert {name: value for name, value in off.items() if abs(value) > SAMPLED[name]} == {}


def test_the_table_of_calibration_holds_its_bar():
    table = {name: row for name, row in read_table().items() if name != BY_INTENT}
    relative = {name: row["scenes"] / row["photos"] - 1 for name, row in table.items() if "purity" not in name}
    assert {name: off for name, off in relative.items() if abs(off) > 0.15} == {}
    points = {name: row["scenes"] - row["photos"] for name, row in table.items() if "purity" in name}
    assert len(points) == 5
    assert {name: off for name, off in points.items() if abs(off) > 0.5} == {}


def test_settings_are_chosen_on_other_images_than_those_that_are_reported(sample):
    assert NUM_IMAGES["val"] >= 300
    assert NUM_IMAGES["test"] >= 1000
    assert sample.categories == list(CLASSES)


def test_the_drawn_scenes_are_pinned():
    # Whoever changes the generator measures the table anew. Pixels before JPEG, and masks.
    digest = hashlib.sha256()
    for index in (1, 2, 3):
        pixels, instances = draw(0, "train", index, 160)
        digest.update(pixels.tobytes() + b"".join(np.packbits(instance.mask).tobytes() for instance in instances))
    assert digest.hexdigest()[:16] == "6b9e7c9cbfc86a21"


def test_the_file_says_what_it_is(sample):
    content = json.loads(sample.path.read_text())
    assert content["info"] == {"description": "generated scenes, val", "version": "2", "seed": 0}
