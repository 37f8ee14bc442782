"""Annotating photos with a trained network: a COCO file that our own loader reads, and what is read and left out."""

import json
from pathlib import Path

import pytest
from PIL import Image

from core.checkpoints.checkpoint import load_trained, save_checkpoint
from core.config.file import build_config
from core.datasets.coco import load_validation_set
from tests.core.annotate.photos import SETTINGS, run, run_command, written


def test_photos_become_a_coco_file_with_pictures(checkpoint: Path) -> None:
    done = run(checkpoint, 0.0)
    out = checkpoint.parent / "out"
    content = json.loads((out / "annotations.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.png"]
    assert [category["name"] for category in content["categories"]] == ["cat", "dog"]
    assert 0 < len(content["annotations"]) <= 10
    assert (done.images, done.annotations, done.failed) == (content["images"], content["annotations"], {})
    assert {"bbox", "segmentation", "score", "area", "category_id"} <= content["annotations"][0].keys()
    assert written(out) == {"a.jpg.jpg", "annotations.json", "b.png.png"}
    data = build_config(SETTINGS, "test").data.model_copy(update={"root": str(checkpoint.parent)})
    assert load_validation_set(data).categories == ["cat", "dog"]


def test_instances_below_the_score_are_left_out(checkpoint: Path) -> None:
    assert run(checkpoint, 1.0).annotations == []


def test_a_folder_without_images_is_named(checkpoint: Path) -> None:
    for photo in (checkpoint.parent / "photos").iterdir():
        photo.unlink()
    with pytest.raises(ValueError, match="photos: found no image in this folder"):
        run(checkpoint, 0.0)


def test_a_file_that_is_no_checkpoint_is_named(checkpoint: Path) -> None:
    checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint\.pt: not a torch file"):
        run(checkpoint, 0.0)


def test_a_photo_is_taken_upright_as_its_camera_says(checkpoint: Path) -> None:
    photo = Image.new("RGB", (120, 80), "red")
    photo.getexif()[0x0112] = 6  # orientation: turned by a quarter
    photo.save(checkpoint.parent / "photos" / "c.jpg", exif=photo.getexif())
    run(checkpoint, 0.0)
    image = json.loads((checkpoint.parent / "out" / "annotations.json").read_text())["images"][2]
    assert (image["width"], image["height"]) == (80, 120)
    assert Image.open(checkpoint.parent / "out" / "c.jpg.jpg").size == (80, 120)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_photo_that_keeps_its_size_is_turned_too(checkpoint: Path, orientation: int) -> None:
    photo = Image.new("RGB", (80, 80), "white")
    photo.paste("red", (0, 0, 80, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation  # upside down, and a square turned by a quarter
    photo.save(checkpoint.parent / "photos" / "c.png", exif=exif)
    run(checkpoint, 1.0, pictures="png")  # no instance is drawn
    picture = Image.open(checkpoint.parent / "out" / "c.png.png").convert("RGB")
    assert picture.getpixel((60, 70) if orientation == 3 else (70, 60)) == (255, 0, 0)
    assert picture.getpixel((20, 10) if orientation == 3 else (10, 20)) == (255, 255, 255)


def test_a_turned_tiff_is_turned_once(checkpoint: Path) -> None:
    photo = Image.new("RGB", (120, 80), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(checkpoint.parent / "photos" / "c.tif", exif=exif)
    run(checkpoint, 1.0)
    assert Image.open(checkpoint.parent / "out" / "c.tif.jpg").size == (80, 120)


def spoil(folder: Path) -> list[str]:
    """Photos that cannot be read, each for another reason; their names."""
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:-200])
    (folder / "cut.png").write_bytes((folder / "b.png").read_bytes()[:60])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.PNG").write_text("no image")
    Image.new("I;16", (40, 30)).save(folder / "gray.png")
    for name in ("back\\slash.png", "x" * 250 + ".png"):
        Image.new("RGB", (40, 30)).save(folder / name)
    return ["back\\slash.png", "cut.jpg", "cut.png", "empty.jpg", "gray.png", "text.PNG", "x" * 250 + ".png"]


def test_photos_that_cannot_be_read_are_named_at_the_end_and_the_others_are_done(checkpoint: Path, capsys) -> None:
    bad = spoil(checkpoint.parent / "photos")
    assert run_command(checkpoint) == 1
    out = checkpoint.parent / "out"
    content = json.loads((out / "annotations.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.png"]
    assert written(out) == {"a.jpg.jpg", "annotations.json", "b.png.png"}
    told = capsys.readouterr()
    assert "annotations.json: 0 instances in 2 photos" in told.out
    assert f"{len(bad)} photo(s) left out:\n" in told.err
    for name in ("cut.jpg", "cut.png", "empty.jpg", "gray.png", "text.PNG"):
        assert f"{name}: cannot be read as an image (" in told.err
    assert "file_name is 'back\\\\slash.png', expected / between folders" in told.err
    assert "has 254 bytes, expected at most 200" in told.err


def test_without_a_single_sound_photo_the_input_is_wrong(checkpoint: Path, capsys) -> None:
    spoil(checkpoint.parent / "photos")
    for name in ("a.jpg", "b.png", "cut.jpg", "cut.png"):
        (checkpoint.parent / "photos" / name).unlink()
    assert run_command(checkpoint) == 2
    assert "photos: found no image in this folder that can be read: " in capsys.readouterr().err


def test_categories_have_the_ids_of_the_training_data(checkpoint: Path) -> None:
    config = build_config(SETTINGS, "test")
    state = load_trained(checkpoint, "cpu")[1]
    assert [entry["id"] for entry in written_categories(checkpoint)] == [1, 2]  # of a version that did not store them
    save_checkpoint(checkpoint, state | {"category_ids": [0, 7]}, config=config, seed=0, data_digest="d")
    assert written_categories(checkpoint) == [{"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}]
    assert {entry["category_id"] for entry in run(checkpoint, 0.0).annotations} <= {0, 7}
    for ids in ([1], [1, 1], [1, "2"], 3):
        save_checkpoint(checkpoint, state | {"category_ids": ids}, config=config, seed=0, data_digest="d")
        with pytest.raises(
            ValueError, match=r"checkpoint\.pt: state\.category_ids is .*, expected 2 different integers"
        ):
            run(checkpoint, 0.0)


def written_categories(checkpoint: Path) -> list[dict]:
    run(checkpoint, 0.0)
    return json.loads((checkpoint.parent / "out" / "annotations.json").read_text())["categories"]
