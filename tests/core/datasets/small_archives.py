"""Archives as the official servers have them, with a few small images, and what becomes of them."""

import json
import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from core.datasets.sources.people import ANNOTATIONS
from tests.core.datasets.sources.test_archive import write_tar
from tests.core.datasets.sources.test_nuclei import IDS, members
from tests.core.datasets.sources.test_people import ALL, official
from tests.core.datasets.sources.test_voc import CLASSES, OBJECTS, write_mat, write_png

Command = Callable[..., int]


def jpeg(width: int, height: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), (200, 100, 50)).save(buffer, "JPEG")
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def voc_archives(folder: Path) -> tuple[bytes, bytes]:
    """VOC 2012 of one image to train on and one to validate, SBD of a third, as tar archives."""
    voc, sbd = folder / "VOCdevkit/VOC2012", folder / "benchmark_RELEASE/dataset"
    for name in ("2007_000032", "2007_000033", "2008_000002"):
        (voc / "JPEGImages").mkdir(parents=True, exist_ok=True)
        (voc / f"JPEGImages/{name}.jpg").write_bytes(jpeg(6, 4))
        write_png(voc / f"SegmentationObject/{name}.png", OBJECTS)
        write_png(voc / f"SegmentationClass/{name}.png", CLASSES)
        write_mat(sbd, name, OBJECTS % 255, [15, 8])
    (voc / "Annotations").mkdir()
    (voc / "Annotations/2007_000032.xml").write_text("not needed")
    (voc / "ImageSets/Segmentation").mkdir(parents=True)
    for path, name in [
        (voc / "ImageSets/Segmentation/train.txt", "2007_000032"),
        (voc / "ImageSets/Segmentation/val.txt", "2007_000033"),
        (sbd / "train.txt", "2008_000002"),
        (sbd / "val.txt", "2007_000033"),
    ]:
        path.write_text(f"{name}\n")
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    of_voc = {name: content for name, content in files.items() if name.startswith("VOC")}
    of_sbd = {name: content for name, content in files.items() if name.startswith("benchmark")}
    tars = [write_tar(folder / "voc.tar", of_voc), write_tar(folder / "sbd.tgz", of_sbd)]
    return tars[0].read_bytes(), tars[1].read_bytes()


def archive_contents(folder: Path) -> dict[str, bytes]:
    """The content of each archive, by its key in the catalog; `folder` holds the files while they are packed."""
    folder.mkdir()
    voc, sbd = voc_archives(folder)
    people = json.dumps(official(ALL)).encode()
    photos = {f"val2017/{i:012d}.jpg": jpeg(w, h) for i, w, h in [(139, 640, 427), (285, 200, 100), (632, 400, 640)]}
    train = {"train2017/000000000009.jpg": jpeg(9, 9)}
    annotations = {ANNOTATIONS: people, "annotations/instances_train2017.json": b"{}", "annotations/captions.json": b""}
    lists = {f"annotations/image_info_test{subset}2017.json": subset.encode() for subset in ("", "-dev")}
    return {
        "coco_train": zipped(train), "coco_val": zipped(photos), "coco_annotations": zipped(annotations),
        "coco_test": zipped({"test2017/000000000001.jpg": jpeg(9, 9)}), "coco_test_list": zipped(lists),
        "voc": voc, "sbd": sbd, "nuclei": zipped(members(IDS)),
    }  # fmt: skip


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}


def pickled(**arrays: np.ndarray) -> bytes:
    return pickle.dumps(arrays, protocol=2)


COCO = {
    "train2017/000000000009.jpg", "val2017/000000000139.jpg", "val2017/000000000285.jpg", "val2017/000000000632.jpg",
    "annotations/instances_train2017.json", "annotations/instances_val2017.json",
}  # fmt: skip
