"""The photos of a folder as entries of a COCO file; pictures that we drew of photos are not among them."""

from pathlib import Path
from typing import Any

from PIL import Image

from core.datasets.image_checks import image_problem
from core.datasets.photo import FORMATS, opened, upright_size
from core.files.shown import shown

MADE_BY = "core.annotate"  # marks the pictures that it draws: as PNG text, or as the comment of a JPEG file
PNG_KEY, JPEG_KEY = "Software", "comment"  # of `Image.info`
LONGEST_NAME = 200  # bytes; that of the picture, while it is written, is up to 55 longer: file systems allow 255


def list_photos(folder: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The entries of the photos in a folder, numbered by name, and by name what is wrong with the others.

    A file that is no image, and whose name does not end like that of one, is no photo. The size is that of the upright
    photo, from its header; decoding may still fail.

    Raises:
        ValueError: if the folder cannot be read, or has no photo without a problem.
    """
    entries: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise ValueError(f"{folder}: cannot be read ({error.strerror}), expected a folder of photos") from error
    endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    for path in paths:
        entry = {"id": len(entries) + 1, "file_name": path.name}
        if is_drawn(path):
            continue
        try:
            with opened(path) as image:
                entry["width"], entry["height"] = upright_size(image)
        except ValueError as error:
            if path.suffix.lower() in endings:
                failed[path.name] = str(error)
            continue
        if problem := image_problem(entry) or name_problem(path.name):
            failed[path.name] = f"{folder}: {problem}"
        else:
            entries.append(entry)
    if not entries:
        unread = f" that can be read: {next(iter(failed.values()))}" if failed else ""
        raise ValueError(f"{folder}: found no image in this folder{unread}")
    return entries, failed


def is_drawn(path: Path) -> bool:
    """Whether a file is a picture that we drew of a photo."""
    try:
        with opened(path) as image:
            return image.info.get(PNG_KEY) == MADE_BY or image.info.get(JPEG_KEY) == MADE_BY.encode()
    except ValueError:
        return False


def name_problem(name: str) -> str | None:
    """What is wrong with the name of a photo that a picture is to be named after."""
    length = len(name.encode())
    if length <= LONGEST_NAME:
        return None
    expected = f"at most {LONGEST_NAME}, which leaves room for the ending of its picture's"
    return f"file name {shown(name)} has {length} bytes, expected {expected}"
