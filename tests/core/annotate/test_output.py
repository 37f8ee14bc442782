"""The folder of a run: pictures of the kind asked for, and nothing replaced that no run wrote."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from core.annotate.progress_file import PROGRESS
from tests.core.annotate.photos import run, written


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
