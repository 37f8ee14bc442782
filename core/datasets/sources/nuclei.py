"""Nuclei in microscopy images, small enough to train on a CPU: made from stage 1 of the 2018 Data Science Bowl.

The archive `stage1_train.zip` of BBBC038 (Caicedo et al., Nature Methods 2019; CC0) has a folder per image, named by
the image's id: `images/` with the image, `masks/` with a PNG for each nucleus. Images of at most 400 px are kept at
their size. The SHA-256 of the id says which split an image is in, so that the split needs no list and no seed.

The archive could not be fetched where this was written: it was tested with small ones of its layout, and the files
made from it record its SHA-256. What the project measured on nuclei, it measured on 304 and 124 images that the same
rule had drawn from a copy in which others had corrected masks; those of the archive are taken as they are.
"""

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image
from pycocotools import mask as coco_mask
from tqdm import tqdm

from core.datasets.sources.archive import DAMAGED
from core.files.atomic import replaced

SERVER, PATH = "https://data.broadinstitute.org/bbbc", "BBBC038/stage1_train.zip"
FILES = {"train": "instances_train.json", "val": "instances_val.json"}
LONG_SIDE = 400  # px; larger images are left out
MIN_AREA = 10  # px; smaller masks are left out
# below which hundredth of the ids a split ends: 60 % train, 20 % val; the rest is in neither
ENDS = {"train": 60, "val": 80}
NUCLEUS = {"id": 1, "name": "nucleus"}
DESCRIPTION = "Nuclei: stage 1 of the 2018 Data Science Bowl; BBBC038v1, Broad Bioimage Benchmark Collection (CC0)"
URL = "https://bbbc.broadinstitute.org/BBBC038"
MEMBER = re.compile(r"(?:.*/)?(?P<id>[^/.][^/]*)/(?P<kind>images|masks)/[^/.][^/]*\.png")


@dataclass
class Entry:
    """What the archive has of one image: the names of its members."""

    images: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)


def write_nuclei(root: Path, archive: Path, *, progress: bool = False) -> None:
    """Write `root/images` and the two annotation files from the official archive.

    None of them may exist yet (`is_made`). No checksum of the archive is published: `info` of the annotation files
    records the SHA-256 of the one that they are made from.

    Raises:
        ValueError: if the archive is damaged or has other files than described above; names it and what was found.
    """
    unfinished = root / ".images.partial"
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a killed process
    with archive.open("rb") as file:
        made_from = {"archive": PATH, "archive_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    contents = {split: _new_content(split, made_from) for split in FILES}
    try:
        unfinished.mkdir(parents=True)
        with zipfile.ZipFile(archive) as opened:
            entries = _entries(opened)
            for image_id, entry in tqdm(sorted(entries.items()), desc="nuclei", unit="image", disable=not progress):
                split = split_of(image_id)
                if split is not None:
                    _add(contents[split], image_id, entry, opened, unfinished)
        empty = [split for split, content in contents.items() if not content["images"]]
        if empty:
            found = f"{len(entries)} folders with images, of which none is in {' or '.join(empty)}"
            raise ValueError(f"{found}; expected ID/images/*.png with ID/masks/*.png, of at most {LONG_SIDE} px")
        os.replace(unfinished, root / "images")
    except DAMAGED as error:
        raise ValueError(f"{archive}: is damaged ({error}); remove it to download it again") from error
    except (ValueError, OSError, RuntimeError) as error:  # RuntimeError: encrypted
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{archive}: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for split, content in contents.items():
        with replaced(root / FILES[split]) as unfinished_file:
            unfinished_file.write_text(json.dumps(content, separators=(",", ":")))


def is_made(root: Path) -> bool:
    """Whether the annotation files and all images that they name exist.

    Raises:
        ValueError: if only some exist: they may be the user's own and are not overwritten.
    """
    wanted = [*(root / name for name in FILES.values()), root / "images"]
    there = [path for path in wanted if path.exists()]
    missing = [path for path in wanted if path not in there]
    if not there:
        return False
    if not missing:
        contents = [json.loads((root / name).read_bytes()) for name in FILES.values()]
        images = [root / "images" / image["file_name"] for content in contents for image in content["images"]]
        missing = [path for path in images if not path.is_file()]
    if missing:
        found = f"{root}: contains some of the files, but {len(missing)} are missing, such as {missing[0]}"
        raise ValueError(f"{found}; expected all or none; move the folder away")
    return True


def split_of(image_id: str) -> str | None:
    """The split of an image by its id: the first 8 hex digits of the id's SHA-256, modulo 100, against ENDS."""
    place = int(hashlib.sha256(image_id.encode()).hexdigest()[:8], 16) % 100
    return next((split for split, end in ENDS.items() if place < end), None)


def _new_content(split: str, made_from: dict[str, str]) -> dict[str, Any]:
    return {
        "info": {"description": f"{DESCRIPTION}, {split}", "url": URL} | made_from,
        "images": [],
        "annotations": [],
        "categories": [NUCLEUS],
    }


def _entries(archive: zipfile.ZipFile) -> dict[str, Entry]:
    """The members of the archive by the id of their image; other files in it are ignored."""
    entries: dict[str, Entry] = {}
    for name in sorted(archive.namelist()):
        if found := MEMBER.fullmatch(name):
            entry = entries.setdefault(found["id"], Entry())
            getattr(entry, found["kind"]).append(name)
    for image_id, entry in entries.items():
        if len(entry.images) != 1 or not entry.masks:
            found = f"{len(entry.images)} images and {len(entry.masks)} masks"
            raise ValueError(f"image {image_id}: {found}, expected one image and a mask for each nucleus")
    return entries


def _add(content: dict[str, Any], image_id: str, entry: Entry, archive: zipfile.ZipFile, folder: Path) -> None:
    """Write an image as PNG, of one channel if it is gray, and add its entry and annotations, if it has nuclei."""
    with _opened(archive, entry.images[0]) as image:
        size = image.size
        if max(size) > LONG_SIDE:
            return
        pixels = np.asarray(image.convert("RGB"))  # its fourth channel is opaque everywhere
    number = len(content["images"]) + 1
    before = len(content["annotations"])
    for mask in _masks(archive, entry.masks, size):
        encoding = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        content["annotations"].append(
            {
                "id": len(content["annotations"]) + 1,
                "image_id": number,
                "category_id": NUCLEUS["id"],
                "bbox": coco_mask.toBbox(encoding).tolist(),
                "area": int(coco_mask.area(encoding)),
                "iscrowd": 0,
                "segmentation": {"size": encoding["size"], "counts": encoding["counts"].decode("ascii")},
            }
        )
    if len(content["annotations"]) > before:
        file_name = f"{image_id}.png"
        gray = (pixels == pixels[..., :1]).all()
        Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if gray else pixels).save(folder / file_name)
        content["images"].append({"id": number, "file_name": file_name, "width": size[0], "height": size[1]})


def _masks(archive: zipfile.ZipFile, names: list[str], size: tuple[int, int]) -> Iterator[Bool[np.ndarray, "H W"]]:
    """The masks of an image of this size (width, height) that have at least MIN_AREA pixels."""
    for name in names:
        with _opened(archive, name) as image:
            if image.size != size:
                found, expected = (f"{width} x {height}" for width, height in (image.size, size))
                raise ValueError(f"{name}: is {found} pixels, expected {expected} as its image")
            mask = np.asarray(image.convert("L")) > 0
        if mask.sum() >= MIN_AREA:
            yield mask


def _opened(archive: zipfile.ZipFile, name: str) -> Image.Image:
    """A member of the archive as an image, decoded."""
    content = archive.read(name)
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: from PIL's PNG reader
        raise ValueError(f"{name}: cannot be read as an image ({error})") from error
    return image
