"""A folder of tiny images with labels, written by each test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.datasets.convert.image_folder import ImageFolder
from core.datasets.convert.labeled import LabeledSet

WIDTH, HEIGHT = 40, 24


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., ImageFolder]:
    """Writes images of 40 x 24 pixels and files, whose content is text or JSON, into a folder `given`."""

    def write(files: dict[str, Any], images: tuple[str, ...] = ("a.png",)) -> ImageFolder:
        root = tmp_path / "given"
        for name in images:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (WIDTH, HEIGHT), (sum(name.encode()) % 256, 90, 60)).save(path)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return ImageFolder(root)

    return write


def boxes(labeled: LabeledSet) -> dict[str, list[tuple]]:
    """Class and box of every object, by image."""
    return {str(image.path): [(one.class_name, *one.box) for one in image.objects] for image in labeled.images}
