import json
from dataclasses import replace

import pytest
from PIL import Image

from core.datasets.annotation_file import AnnotationFile
from core.datasets.check import main, pair_problems, split_problems, summary
from core.datasets.sources.shapes import generate
from tests.core.datasets.conftest import RECTANGLE, annotation


def read(root):
    return AnnotationFile.read(root / "instances_train.json", root / "train")


def test_the_summary_counts_what_a_split_holds(write):
    root = write(
        [
            annotation(1, segmentation=RECTANGLE),
            annotation(2, category_id=9),
            annotation(3, iscrowd=1),
            annotation(4, bbox=[1, 1, 0, 4]),
        ],
        image_ids=(7, 8),
    )
    lines = summary(read(root))
    assert "  images      2, width 40 px, height 24 px" in lines
    assert "  empty       1 images without an instance" in lines
    assert "  instances   2: 1 with a mask, 1 box only" in lines
    assert "  left out    1 crowds, 1 boxes of width or height 0" in lines
    assert "  clipped     0 boxes that extend past their image (if many: boxes must be x, y, width, height)" in lines
    assert "  box sides   2 under 32 px, 0 under 96 px, 0 larger" in lines
    assert lines[-2:] == ["    0: 3 dog (1)", "    1: 9 cat (1)"]


def test_a_summary_of_nothing_is_no_error(write):
    assert "  images      0, width 0 px, height 0 px" in summary(read(write([], image_ids=())))


def test_broken_images_and_all_broken_masks_are_problems(write):
    root = write([annotation(1, segmentation="none"), annotation(2, 8, bbox=[0, 0, -1, 3])], image_ids=(7, 8))
    (root / "train" / "8.png").write_bytes((root / "train" / "8.png").read_bytes()[:200])  # a broken download
    problems = split_problems(read(root))
    assert len(problems) == 3
    assert problems[0].startswith("annotation 2 (image 8): bbox is")
    assert problems[1].startswith("annotation 1 (image 7): segmentation is none")
    assert "8.png: cannot be read as an image" in problems[2]


def test_splits_must_agree_on_categories_and_share_no_image(write):
    train = read(write([annotation()]))
    assert pair_problems(train, replace(train, image_folder=train.image_folder.parent)) == []
    (shared,) = pair_problems(train, train)
    assert "1 images are in both splits, such as 7.png" in shared
    val = replace(train, images=[], category_ids=[3], categories=["wolf"])
    (other,) = pair_problems(train, val)
    assert "categories are {3: 'wolf'}, expected those of" in other


@pytest.fixture
def check(capsys):
    """Runs the command on a folder; its exit status and what it printed."""

    def run(root):
        return main(["--root", str(root)]), capsys.readouterr().out

    return run


def test_the_command_exits_with_one_on_problems(write, check):
    status, printed = check(write([annotation(category_id=4)]))
    assert status == 1
    assert "annotation 1 (image 7): category_id is 4, expected one of 3, 9" in printed
    assert "instances_val.json: cannot be read" in printed
    assert "2 problem(s)" in printed


@pytest.fixture
def shapes(tmp_path):
    generate(tmp_path / "shapes", {"train": 2, "val": 1}, size=96)
    return tmp_path / "shapes"


def test_the_command_exits_with_zero_on_a_sound_data_set(shapes, check):
    status, printed = check(shapes)
    assert status == 0
    assert "no problems" in printed
    assert "rotated" not in printed


def test_what_the_evaluation_would_refuse_is_a_problem(shapes, check):
    path = shapes / "instances_val.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["area"] = None
    path.write_text(json.dumps(content))
    status, printed = check(shapes)
    assert status == 1
    assert "area is None, expected a number" in printed


def test_images_that_viewers_turn_without_another_size_are_counted(shapes, check):
    path, unset = (shapes / "train").iterdir()
    exif = Image.Exif()
    for turned, orientation in ((path, 3), (unset, 0)):
        exif[0x0112] = orientation
        Image.open(turned).save(turned, exif=exif)
    status, printed = check(shapes)
    assert status == 0
    assert f"rotated     1 images that viewers rotate or mirror by EXIF, such as {path.name}" in printed
