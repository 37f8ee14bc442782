"""The command that checks a data set and says how to train on it."""

import json
import shlex
import shutil

import pytest
from PIL import Image

from core.datasets.check.__main__ import main
from core.datasets.convert.__main__ import main as convert
from core.datasets.sources.shapes import generate
from tests.core.datasets.conftest import annotation


@pytest.fixture
def check(capsys, tmp_path, monkeypatch):
    """Runs the command on a folder, without timing, in an empty folder; its exit status and what it printed."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(root, *options):
        return main([str(root), "--no-timing", *options]), capsys.readouterr().out

    return run


def test_the_command_exits_with_one_on_problems(write, check):
    status, printed = check(write([annotation(category_id=4)]))
    assert status == 1
    assert "annotation 1 (image 7): category_id is 4, expected one of 3, 9" in printed
    assert "2 problem(s)\n" in printed
    assert "train:" not in printed


def test_of_many_problems_the_command_says_which_it_shows(write, check):
    status, printed = check(write([annotation(i, category_id=4) for i in range(30)]))
    assert status == 1
    assert printed.count("problem: ") == 20
    assert "31 problem(s), the first 20 above\n" in printed


@pytest.fixture
def shapes(tmp_path):
    generate(tmp_path / "shapes", {"train": 2, "val": 1}, size=96)
    return tmp_path / "shapes"


def test_the_command_exits_with_zero_on_a_sound_data_set(shapes, check):
    status, printed = check(shapes)
    assert status == 0
    assert "no problems" in printed
    assert "rotated" not in printed
    (folder,) = [line for line in printed.splitlines() if line.startswith("  seen  ")][:1]
    assert folder.endswith("by the recipe own (longer side 256 px)")


def test_the_layout_is_found_or_told_by_options(shapes, check, capsys):
    assert "--set data.train_images=train --set data.val_images=val" in check(shapes)[1]
    (shapes / "train").rename(shapes / "photos")
    with pytest.raises(SystemExit):
        main([])
    assert "expected one folder" in capsys.readouterr().err
    assert check(shapes)[0] == 2
    status, printed = check(shapes, "--train-images", "photos")
    assert status == 0
    assert "--set data.train_images=photos" in printed
    assert main(["--root", str(shapes), "--train-images", "photos", "--no-timing"]) == 0


def test_without_a_validation_set_the_command_says_how_to_draw_one(shapes, check, capsys):
    own = shapes.with_name("my own")
    shutil.move(shapes, own)
    (own / "instances_val.json").unlink()
    shutil.rmtree(own / "val")
    status, printed = check(own)
    assert status == 1
    assert "instances_val.json: no such file; a training is measured on photos that it does not learn from" in printed
    assert "instances   " in printed
    (command,) = [line for line in printed.splitlines() if line.startswith("  python -m core.datasets.convert ")]
    assert convert(shlex.split(command)[3:]) == 0
    capsys.readouterr()
    assert check(shlex.split(command)[4])[0] == 0


def test_the_sheet_lies_in_the_current_folder_and_never_in_the_data(shapes, check, tmp_path, monkeypatch):
    before = sorted(shapes.rglob("*"))
    status, printed = check(shapes)
    assert "look at check.jpg: 3 photos as the network sees them" in printed
    assert Image.open(tmp_path / "here" / "check.jpg").format == "JPEG"
    assert sorted(shapes.rglob("*")) == before
    monkeypatch.chdir(shapes)
    status, printed = check(".")
    assert status == 0
    assert "note: no contact sheet: check.jpg: lies in the data set" in printed
    assert sorted(shapes.rglob("*")) == before
    assert "look at ../there/sheet.jpg" in check(".", "--sheet", "../there/sheet.jpg")[1]
    assert "sheet" not in check(".", "--sheet", "none")[1]


def test_problems_do_not_keep_it_from_drawing(shapes, check):
    change(shapes / "instances_train.json", lambda content: content["annotations"][0].update(bbox=[200, 1, 9, 9]))
    status, printed = check(shapes)
    assert status == 1
    assert "as the network sees them, the first 1 for the reason in red" in printed


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
    assert sum(note.startswith("note: boxes without a mask") for note in notes) == 1
    assert "no problems" in printed


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
    assert main([str(shapes), "--recipe", "owl"]) == 2
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


@pytest.fixture
def recipe(tmp_path):
    """A recipe that names a file of masks."""
    path = tmp_path / "masks.yaml"
    path.write_text("extends: own\nsupervision: {pseudo_masks: {file: masks.json}}\nloss: {dice: 1}\n")
    return str(path)


def test_the_file_of_masks_that_a_recipe_names_is_checked(shapes, check, recipe):
    masks = shapes / "masks.json"
    status, printed = check(shapes, "--recipe", recipe)
    assert status == 1
    assert f"problem: supervision.pseudo_masks: {masks}: cannot be read" in printed
    shutil.copy(shapes / "instances_train.json", masks)
    status, printed = check(shapes, "--recipe", recipe)
    assert status == 0
    count = len(json.loads(masks.read_text())["annotations"])
    assert f"note: {masks}: masks for {count} of {count} boxes\n" in printed
    change(masks, lambda content: content["annotations"][0].update(id=5000))
    status, printed = check(shapes, "--recipe", recipe)
    assert status == 1
    assert f"problem: {masks}: annotation 5000 (image 1): no annotation has this id in " in printed


def test_boxes_without_a_mask_in_the_file_are_counted(shapes, check, recipe):
    masks = shapes / "masks.json"
    shutil.copy(shapes / "instances_train.json", masks)
    change(masks, lambda content: content["annotations"][0].pop("segmentation"))
    count = len(json.loads(masks.read_text())["annotations"])
    printed = check(shapes, "--recipe", recipe)[1]
    assert f"masks for {count - 1} of {count} boxes; the others are trained on as boxes" in printed
    change(masks, lambda content: [entry.pop("segmentation", None) for entry in content["annotations"]])
    status, printed = check(shapes, "--recipe", recipe)
    assert status == 1
    assert f"problem: {masks}: no mask for any of the {count} boxes that need one, expected some" in printed
