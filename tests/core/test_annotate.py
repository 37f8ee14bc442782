"""Annotating photos with a trained network: a COCO file that our own loader reads, and a picture of each photo."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from core import annotate as command
from core.annotate import Annotated, annotate, main
from core.checkpoints.checkpoint import save_checkpoint
from core.compute.compute import Compute
from core.config.file import build_config
from core.datasets.coco import load_validation_set
from core.model.build import build_model

SETTINGS = {
    "data": {"val_images": "photos", "val_annotations": "out/annotations.json", "val_short_side": 64},
    "model": {
        "backbone": {"name": "resnet18"},
        "levels": [3, 4, 5],
        "pyramid_channels": 16,
        "head_convs": 1,
        "head_groups": 4,
        "mask_branch_channels": 16,
    },
    "assignment": {"size_boundaries": [32, 64]},
    "inference": {"score_threshold": 0.0, "max_detections": 5},
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained network of two classes: with a threshold of 0 it detects something everywhere."""
    config = build_config(SETTINGS, "test")
    torch.manual_seed(0)
    model = build_model(config.model, 2)
    state = {"model": model.state_dict(), "categories": ["cat", "dog"], "curves": []}
    save_checkpoint(tmp_path / "checkpoint.pt", state, config=config, seed=0, data_digest="d")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (120, 80), "red").save(tmp_path / "photos" / "b.png")
    Image.new("L", (70, 90), 128).save(tmp_path / "photos" / "a.jpg")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "checkpoint.pt"


def run(checkpoint: Path, min_score: float, out: str = "out") -> Annotated:
    folder = checkpoint.parent
    return annotate(checkpoint, folder / "photos", folder / out, Compute(), min_score=min_score)


def run_command(checkpoint: Path) -> int:
    folder = checkpoint.parent
    words = ["--checkpoint", checkpoint, "--images", folder / "photos", "--out", folder / "out", "--device", "cpu"]
    return main(list(map(str, words)))


def test_photos_become_a_coco_file_with_pictures(checkpoint: Path) -> None:
    done = run(checkpoint, 0.0)
    out = checkpoint.parent / "out"
    content = json.loads((out / "annotations.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.png"]
    assert [category["name"] for category in content["categories"]] == ["cat", "dog"]
    assert 0 < len(content["annotations"]) <= 10
    assert (done.images, done.annotations, done.failed) == (content["images"], content["annotations"], {})
    assert {"bbox", "segmentation", "score", "area", "category_id"} <= content["annotations"][0].keys()
    assert sorted(path.name for path in out.iterdir()) == ["a.jpg.png", "annotations.json", "b.png.png"]
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
    assert Image.open(checkpoint.parent / "out" / "c.jpg.png").size == (80, 120)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_photo_that_keeps_its_size_is_turned_too(checkpoint: Path, orientation: int) -> None:
    photo = Image.new("RGB", (80, 80), "white")
    photo.paste("red", (0, 0, 80, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation  # upside down, and a square turned by a quarter
    photo.save(checkpoint.parent / "photos" / "c.png", exif=exif)
    run(checkpoint, 1.0)  # no instance is drawn
    picture = Image.open(checkpoint.parent / "out" / "c.png.png").convert("RGB")
    assert picture.getpixel((60, 70) if orientation == 3 else (70, 60)) == (255, 0, 0)
    assert picture.getpixel((20, 10) if orientation == 3 else (10, 20)) == (255, 255, 255)


def test_a_turned_tiff_is_turned_once(checkpoint: Path) -> None:
    photo = Image.new("RGB", (120, 80), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(checkpoint.parent / "photos" / "c.tif", exif=exif)
    run(checkpoint, 1.0)
    assert Image.open(checkpoint.parent / "out" / "c.tif.png").size == (80, 120)


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
    assert {path.name for path in out.iterdir()} == {"a.jpg.png", "annotations.json", "b.png.png"}
    told = capsys.readouterr()
    assert "annotations.json: 0 instances in 2 photos" in told.out
    assert f"{len(bad)} photo(s) left out:\n" in told.err
    for name in ("cut.jpg", "cut.png", "empty.jpg", "gray.png", "text.PNG"):
        assert f"{name}: cannot be read as an image (" in told.err
    assert "file_name is 'back\\\\slash.png', expected / between folders" in told.err
    assert "has 254 bytes, expected at most 240" in told.err


def test_without_a_single_sound_photo_the_input_is_wrong(checkpoint: Path, capsys) -> None:
    spoil(checkpoint.parent / "photos")
    for name in ("a.jpg", "b.png", "cut.jpg", "cut.png"):
        (checkpoint.parent / "photos" / name).unlink()
    assert run_command(checkpoint) == 2
    assert "photos: found no image in this folder that can be read: " in capsys.readouterr().err


@pytest.mark.parametrize("cause", [KeyboardInterrupt, OSError("disk full")])
def test_whatever_ends_a_run_what_was_found_is_written(checkpoint: Path, monkeypatch, cause) -> None:
    def save(picture: Image.Image, path: Path) -> None:
        if path.name != "a.jpg.png":
            raise cause

    monkeypatch.setattr(command, "save_picture", save)
    with pytest.raises((KeyboardInterrupt, OSError)):
        run(checkpoint, 0.0)
    content = json.loads((checkpoint.parent / "out" / "annotations.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg"]
    assert {entry["image_id"] for entry in content["annotations"]} == {1}


def test_pictures_among_the_photos_are_no_photos_the_next_time(checkpoint: Path) -> None:
    photos = checkpoint.parent / "photos"
    first = run(checkpoint, 0.0, out="photos")
    assert {path.name for path in photos.glob("*.png")} == {"a.jpg.png", "b.png", "b.png.png"}
    assert run(checkpoint, 0.0, out="photos") == first
    (photos / "b.png.png").rename(photos / "renamed.png")
    assert run(checkpoint, 0.0).images == first.images


@pytest.mark.parametrize("name", ["b.png.png", "annotations.json"])
def test_what_no_earlier_run_wrote_is_never_replaced(checkpoint: Path, name: str) -> None:
    file = checkpoint.parent / "photos" / name
    Image.new("RGB", (30, 20), "blue").save(file, format="PNG")
    content = file.read_bytes()
    with pytest.raises(ValueError, match=rf"photos/{name}: was not written by core\.annotate and would be replaced"):
        run(checkpoint, 0.0, out="photos")
    assert file.read_bytes() == content
    assert len(run(checkpoint, 0.0).images) == 3  # in another folder, and the file there is a photo
