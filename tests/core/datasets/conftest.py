"""A folder of tiny images with an annotation file, to be bent by each test, and a server of small archives."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets import download
from core.datasets.download import CATALOG, main
from tests.core.datasets.file_server import FileServer, serving
from tests.core.datasets.small_archives import Command, archive_contents

WIDTH, HEIGHT = 40, 24
BOX = [4, 8, 16, 8]  # xywh; xyxy 4 8 20 16
RECTANGLE = [[4, 8, 20, 8, 20, 16, 4, 16]]  # the polygon of BOX: rows 8..15, columns 4..19


def annotation(annotation_id: int = 1, image_id: int = 7, **fields: Any) -> dict:
    default = {"id": annotation_id, "image_id": image_id, "category_id": 3, "bbox": list(BOX), "iscrowd": 0}
    return default | {"area": 128} | fields


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes `train/` and `instances_train.json` and returns the root; image ids get one file each."""

    def write_data_set(annotations: list[dict], image_ids: tuple[int, ...] = (7,), **sections: Any) -> Path:
        (tmp_path / "train").mkdir(exist_ok=True)
        for image_id in image_ids:
            pixels = np.random.default_rng(image_id).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "train" / f"{image_id}.png")
        content = {
            "images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in image_ids],
            "annotations": annotations,
            "categories": [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog"}],
        }
        (tmp_path / "instances_train.json").write_text(json.dumps(content | sections))
        return tmp_path

    return write_data_set


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Small archives under the official paths; the catalog is told their sizes and checksums."""
    contents = archive_contents(tmp_path / "official")
    small = {
        key: replace(CATALOG[key], size=len(content), md5=hashlib.md5(content).hexdigest())
        if CATALOG[key].md5
        else CATALOG[key]
        for key, content in contents.items()
    }
    monkeypatch.setattr(download, "CATALOG", small)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving({f"/{small[key].path}": content for key, content in contents.items()}) as running:
        yield running


@pytest.fixture
def command(server: FileServer, tmp_path: Path) -> Command:
    """Runs the command on `root` against the server; returns the exit code."""

    def run(dataset: str, *more: str) -> int:
        return main([dataset, "--root", str(tmp_path / "root"), "--mirror", f"{server.url}/", *more])

    return run
