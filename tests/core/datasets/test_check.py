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
    left_out = "1 crowds (in training ignored or background, as data.crowds says; in evaluation ignored)"
    assert f"  left out    {left_out}, 1 boxes of width or height 0" in lines
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
    assert problems[1].startswith("annotation 1 (image 7): segmentation is 'none'")
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


def change(path, changes):
    content = json.loads(path.read_text())
    changes(content)
    path.write_text(json.dumps(content))


def test_missing_masks_are_no_problem_but_a_note(shapes, check):
    def without_masks(content):
        for entry in content["annotations"]:
            del entry["segmentation"]

    for split in ("train", "val"):
        change(shapes / f"instances_{split}.json", without_masks)
    status, printed = check(shapes)
    assert status == 0
    notes = [line for line in printed.splitlines() if line.startswith("note: ")]
    assert [note.split("instances have no mask; ")[1] for note in notes] == [
        "boxes suffice, but the arm `full` of a study learns from masks",
        "box AP is measured, but mask AP, and so a study, needs them",
    ]


def test_boxes_too_small_at_the_sizes_of_the_recipe_are_a_note(shapes, check, capsys):
    def tiny(content):
        for entry in content["annotations"]:
            entry["bbox"][2:] = [0.3, 0.3]
            entry.pop("segmentation")
        content["annotations"][0]["bbox"] = [90, 90, 6, 6]

    change(shapes / "instances_train.json", tiny)
    status, printed = check(shapes)
    assert status == 0
    assert "with the recipe own, " in printed
    assert "boxes are smaller than 1 px in every view, of at most" in printed
    assert main(["--root", str(shapes), "--recipe", "owl"]) == 2
    assert "recipe 'owl': no file" in capsys.readouterr().err


def test_a_training_set_of_crowds_alone_is_a_problem_that_says_so(shapes, check):
    change(shapes / "instances_train.json", lambda content: [a.update(iscrowd=1) for a in content["annotations"]])
    status, printed = check(shapes)
    assert status == 1
    assert "none of them with a box to learn from: " in printed
    assert "crowds (iscrowd or ignore 1)" in printed


def test_masks_without_a_pixel_are_counted_as_none(shapes, check):
    def outside(content):
        for entry in content["annotations"]:
            entry["segmentation"] = [[100, 100, 110, 100, 110, 110]]

    change(shapes / "instances_train.json", outside)
    status, printed = check(shapes)
    assert status == 1
    assert ": 0 with a mask, " in printed
    assert "mask has no pixel, but its box is" in printed


def test_a_validation_set_without_images_or_instances_is_told(shapes, check):
    change(shapes / "instances_val.json", lambda content: content["annotations"].clear())
    status, printed = check(shapes)
    assert status == 0
    assert "no instance, so that no AP can be measured" in printed
    change(shapes / "instances_val.json", lambda content: content["images"].clear())
    status, printed = check(shapes)
    assert status == 1
    assert "0 images, expected at least one" in printed


def test_classes_must_agree_in_name_and_order_whatever_their_ids(write):
    train = read(write([annotation()]))
    val = replace(train, category_ids=[1, 2], image_folder=train.image_folder.parent)
    assert pair_problems(train, val) == []
