"""Annotating photos with a trained network: a COCO file that our own loader reads, and a picture of each photo."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.annotate import annotate
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


def run(checkpoint: Path, min_score: float) -> int:
    folder = checkpoint.parent
    return annotate(checkpoint, folder / "photos", folder / "out", Compute(), min_score=min_score)


def test_photos_become_a_coco_file_with_pictures(checkpoint: Path) -> None:
    count = run(checkpoint, 0.0)
    out = checkpoint.parent / "out"
    content = json.loads((out / "annotations.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.png"]
    assert [category["name"] for category in content["categories"]] == ["cat", "dog"]
    assert 0 < count == len(content["annotations"]) <= 10
    assert {"bbox", "segmentation", "score", "area", "category_id"} <= content["annotations"][0].keys()
    assert sorted(path.name for path in out.iterdir()) == ["a.jpg.png", "annotations.json", "b.png.png"]
    data = build_config(SETTINGS, "test").data.model_copy(update={"root": str(checkpoint.parent)})
    assert load_validation_set(data).categories == ["cat", "dog"]


def test_instances_below_the_score_are_left_out(checkpoint: Path) -> None:
    assert run(checkpoint, 1.0) == 0


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


@pytest.mark.parametrize("name", ["a.jpg", "b.png"])
def test_a_truncated_photo_is_named(checkpoint: Path, name: str) -> None:
    path = checkpoint.parent / "photos" / name
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=rf"{name}: cannot be read as an image"):
        run(checkpoint, 0.0)
