"""Mutated photos: opened at their annotated size, listed for annotation, and sampled as in a training."""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from core.datasets.annotation_file import AnnotationFile
from core.datasets.batch import collate
from core.datasets.coco import build_training_set, build_validation_set
from core.datasets.photo import is_turned_unseen, open_rgb
from core.datasets.photo_folder import list_photos
from tests.fuzz.annotations import BOXES, arm_config
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import flipped_bit, mutated_bytes

WIDTH, HEIGHT = 40, 24
FORMATS = (  # Pillow's mode, format and options
    ("RGB", "JPEG", {}),
    ("RGB", "JPEG", {"progressive": True}),
    ("L", "JPEG", {}),
    ("CMYK", "JPEG", {}),
    ("RGB", "PNG", {}),
    ("RGBA", "PNG", {}),
    ("LA", "PNG", {}),
    ("L", "PNG", {}),
    ("P", "PNG", {"transparency": 3}),
    ("1", "PNG", {}),
    ("I;16", "PNG", {}),
    ("RGB", "WEBP", {}),
    ("P", "GIF", {}),
    ("RGB", "BMP", {}),
    ("RGB", "TIFF", {}),
    ("F", "TIFF", {}),
    ("RGB", "TIFF", {"compression": "tiff_deflate"}),
    ("RGB", "PPM", {}),
)
SIDES = (0, 1, 24, 40, 5_000, 13_000, 30_000, 2**31 - 1, 2**32 - 1)  # px, of a header that lies or tells the truth
PNG_HEADER = slice(8, 33)  # length, name, content and checksum of the first chunk
MOST_ZEROS = 2**25  # bytes of a photo of one color that are written


@dataclass(frozen=True)
class Photo:
    path: Path
    size: tuple[int, int]  # width and height in the annotations


class Images(Kind):
    name = "images"
    count = 2_000

    def __init__(self, folder: Path) -> None:
        self.files = [encoded(mode, format_, options, orientation) for mode, format_, options in FORMATS
                      for orientation in (None, 6)]  # fmt: skip
        self.annotated_as_stored = False

    def write(self, draw: Random, folder: Path) -> Path:
        photos = folder / "photos"
        photos.mkdir(exist_ok=True)
        for old in photos.iterdir():
            old.unlink()
        file = draw.choice(self.files)
        match draw.choice(("bytes", "bytes", "flip", "head", "png header", "one color", "one color")):
            case "bytes":
                content = mutated_bytes(draw, file)
            case "flip":
                content = flipped_bit(draw, file)
            case "head":
                content = mutated_bytes(draw, file[:128]) + file[128:]
            case "png header":
                content = with_png_header(draw, encoded("RGB", "PNG", {}, None))
            case _:
                content = one_color(draw)
        self.annotated_as_stored = draw.random() < 0.5
        path = photos / "photo.png"
        path.write_bytes(content)
        return path

    def read(self, path: Path) -> Photo:
        size = (WIDTH, HEIGHT)
        if self.annotated_as_stored:
            size = stored_size(path) or size
        is_turned_unseen(path)
        for upright in (True, False):
            open_rgb(path, *size, upright=upright)
        list_photos(path.parent)
        return Photo(path, size)

    def use(self, content: Photo) -> None:
        width, height = content.size
        if (width, height) == (1, 1):
            return  # a box of one pixel in it looks normalized, and is refused
        sections = {
            "images": [{"id": 1, "file_name": content.path.name, "width": width, "height": height}],
            "categories": [{"id": 1, "name": "cell"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, width, height]}],
        }
        file = AnnotationFile.from_content(sections, path=Path("photos.json"), image_folder=content.path.parent)
        config = arm_config(BOXES, content.path.parent)
        for dataset in (
            build_training_set(file, config.data, config.supervision, 0),
            build_validation_set(file, config.data),
        ):
            collate([dataset[0]])


def encoded(mode: str, format_: str, options: dict[str, Any], orientation: int | None) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    if orientation is not None and format_ in ("JPEG", "PNG", "WEBP", "TIFF"):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        options = options | {"exif": exif.tobytes()}
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_png_header(draw: Random, file: bytes) -> bytes:
    """The same pixels under another header, with a correct checksum."""
    sides = draw.choice(SIDES), draw.choice(SIDES)
    kind = draw.choice((1, 2, 4, 8, 16)), draw.choice((0, 2, 3, 4, 6)), 0, 0, draw.choice((0, 1))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *sides, *kind))
    return file[: PNG_HEADER.start] + header + file[PNG_HEADER.stop :]


def one_color(draw: Random) -> bytes:
    """A small file of a large black photo, complete unless it has very many pixels."""
    width, height, bits = draw.choice(SIDES[1:7]), draw.choice(SIDES[1:7]), draw.choice((1, 8, 16))
    compress = zlib.compressobj(1)
    content = compress.compress(bytes(min(height * (1 + width * bits // 8), MOST_ZEROS))) + compress.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", content) + png_chunk(b"IEND", b"")


def stored_size(path: Path) -> tuple[int, int] | None:
    """Width and height in the header, as annotations would have them; None if there is no readable header."""
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # what a broken file raises is the business of the project's reader
        return None
