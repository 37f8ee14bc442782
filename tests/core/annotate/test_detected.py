"""Annotating photos with a trained network: a COCO file that our own loader reads, and a picture of each photo."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.annotate import detected
from core.annotate.__main__ import main
from core.annotate.detected import Annotated, annotate
from core.annotate.output import OutputFolder
from core.annotate.progress_file import PROGRESS
from core.checkpoints.checkpoint import load_trained, save_checkpoint
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


def run(checkpoint: Path, min_score: float, out: str = "out", **settings: str) -> Annotated:
    folder = checkpoint.parent
    return annotate(checkpoint, folder / "photos", folder / out, Compute(), min_score=min_score, **settings)


def run_command(checkpoint: Path, *options: str) -> int:
    folder = checkpoint.parent
    words = ["--checkpoint", checkpoint, "--images", folder / "photos", "--out", folder / "out", "--device", "cpu"]
    return main([*map(str, words), *options])


def written(folder: Path) -> set[str]:
    """The files of an output folder but the one in which a run notes what it has done."""
    return {path.name for path in folder.iterdir()} - {PROGRESS}


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


@pytest.mark.parametrize("cause", [KeyboardInterrupt, OSError("disk full")])
def test_whatever_ends_a_run_what_was_found_is_written(checkpoint: Path, monkeypatch, cause) -> None:
    def save(output: OutputFolder, picture: Image.Image, file_name: str) -> None:
        if file_name != "a.jpg":
            raise cause

    monkeypatch.setattr(OutputFolder, "save_picture", save)
    with pytest.raises((KeyboardInterrupt, OSError)):
        run(checkpoint, 0.0)
    content = json.loads((checkpoint.parent / "out" / "annotations.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg"]
    assert {entry["image_id"] for entry in content["annotations"]} == {1}


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_pictures_among_the_photos_are_no_photos_the_next_time(checkpoint: Path, kind: str) -> None:
    photos = checkpoint.parent / "photos"
    first = run(checkpoint, 0.0, out="photos", pictures=kind)
    assert {path.name for path in photos.glob("*.*.*")} == {PROGRESS, f"a.jpg.{kind}", f"b.png.{kind}"}
    assert run(checkpoint, 0.0, out="photos", pictures=kind) == first
    (photos / f"b.png.{kind}").rename(photos / f"renamed.{kind}")
    assert run(checkpoint, 0.0).images == first.images


def test_pictures_are_of_the_kind_asked_for(checkpoint: Path) -> None:
    for kind, pictures in {
        "auto": {"a.jpg.jpg", "b.png.png"},
        "jpg": {"a.jpg.jpg", "b.png.jpg"},
        "png": {"a.jpg.png", "b.png.png"},
        "none": set(),
    }.items():
        run(checkpoint, 0.0, out=kind, pictures=kind)
        assert written(checkpoint.parent / kind) == pictures | {"annotations.json"}
    for kind, name in {"jpg": "JPEG", "png": "PNG"}.items():
        assert Image.open(checkpoint.parent / kind / f"b.png.{kind}").format == name


def test_a_photo_longer_than_jpeg_allows_has_a_smaller_picture(checkpoint: Path) -> None:
    Image.new("RGB", (131000, 2)).save(checkpoint.parent / "photos" / "c.png")
    run(checkpoint, 1.0, pictures="jpg")
    assert Image.open(checkpoint.parent / "out" / "c.png.jpg").size == (65500, 1)


@pytest.mark.parametrize("name", ["b.png.png", "annotations.json"])
def test_what_no_earlier_run_wrote_is_never_replaced(checkpoint: Path, name: str) -> None:
    file = checkpoint.parent / "photos" / name
    Image.new("RGB", (30, 20), "blue").save(file, format="PNG")
    content = file.read_bytes()
    with pytest.raises(ValueError, match=rf"photos/{name}: was not written by core\.annotate and would be replaced"):
        run(checkpoint, 0.0, out="photos", pictures="png")
    assert file.read_bytes() == content
    assert len(run(checkpoint, 0.0).images) == 3  # in another folder, and the file there is a photo


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


def test_an_interrupted_run_goes_on_where_it_stopped_also_when_photos_are_added(checkpoint: Path, monkeypatch) -> None:
    photos = checkpoint.parent / "photos"
    Image.new("RGB", (64, 64), "blue").save(photos / "d.png")
    expected = run(checkpoint, 0.0, out="whole")
    assert expected.annotations
    (photos / "a.jpg").rename(checkpoint.parent / "a.jpg")
    detect = InterruptAt(monkeypatch, call=2)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, 0.0)
    (checkpoint.parent / "a.jpg").rename(photos / "a.jpg")  # so that b.png has another id now
    assert run(checkpoint, 0.0) == expected
    assert detect.calls == 4  # b.png, the interrupted d.png, a.jpg, d.png
    run(checkpoint, 0.0)  # finished: another run starts over
    assert detect.calls == 7


def test_only_one_run_at_a_time_works_in_a_folder(checkpoint: Path) -> None:
    code = f"""
import sys; from pathlib import Path; from core.files.lock import folder_lock
with folder_lock(Path({str(checkpoint.parent / "out")!r}), "annotation"): print(flush=True); sys.stdin.read()"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(ValueError, match=f"another annotation uses this folder .process {other.pid} on"):
            run(checkpoint, 0.0)
        other.communicate()
    assert run(checkpoint, 0.0).images


def test_a_run_of_another_task_starts_over_and_says_so(checkpoint: Path, monkeypatch, capsys) -> None:
    InterruptAt(monkeypatch, call=2)
    assert run_command(checkpoint, "--min-score", "0.1") == 130
    assert "out: the same command goes on from here\n" in capsys.readouterr().err
    assert run_command(checkpoint, "--min-score", "0.2") == 0
    assert "an interrupted run was not taken up: min_score is 0.1 instead of 0.2\n" in capsys.readouterr().err


class InterruptAt:
    """Interrupts the detection at one of its calls, and counts them all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, call: int) -> None:
        self.calls, self.last, self.detect = 0, call, detected.detect
        monkeypatch.setattr(detected, "detect", self)

    def __call__(self, *given, **thresholds):
        self.calls += 1
        if self.calls == self.last:
            raise KeyboardInterrupt
        return self.detect(*given, **thresholds)
