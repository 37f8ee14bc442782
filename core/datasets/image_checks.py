"""Checks of the entries for images and classes in COCO annotation files: names, sizes, files."""

import os
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any

from core.datasets.numbers import is_integer
from core.datasets.photo import MAX_PIXELS
from core.files.shown import shown

UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # Unicode: control characters, halves of a character, line and paragraph ends
LONGEST_NAME = 255  # bytes of a file or folder name, on all common file systems
LONGEST_CLASS = 200  # characters


def image_problem(image: dict[str, Any]) -> str | None:
    """What is wrong with the entry of an image; does not check whether its file exists."""
    place = f"image {image['id']}"
    if problem := _file_name_problem(image["file_name"]):
        return f"{place}: file_name is {shown(image['file_name'])}, expected {problem}"
    place += f" ({image['file_name']})"
    width, height = image.get("width"), image.get("height")
    if not has_size(image):
        return f"{place}: width and height are {shown(width)} x {shown(height)}, expected the file's size in pixels"
    if width * height > MAX_PIXELS:
        return f"{place}: width and height are {shown(width)} x {shown(height)}, expected at most {MAX_PIXELS} pixels"
    return None


def _file_name_problem(name: Any) -> str | None:
    """What was expected instead of this file name; None if it is a path inside the image folder."""
    if not isinstance(name, str):
        return "a string"
    if not is_printable(name):
        return "no control characters or broken ones"
    if "\\" in name:
        return "/ between folders, not \\"
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return "a path inside the image folder"
    if any(len(part.encode()) > LONGEST_NAME for part in path.parts):
        return f"names of at most {LONGEST_NAME} bytes"
    return None


def has_size(image: dict[str, Any]) -> bool:
    return all(type(image.get(side)) is int and image[side] > 0 for side in ("width", "height"))


def is_missing(path: Path) -> bool:
    """Whether there is no such file. Links are followed: DVC and shared disks keep photos behind links."""
    return not os.path.isfile(path)  # false also for names that the file system refuses, where Path.is_file raises


def class_problems(categories: list[dict[str, Any]]) -> list[str]:
    """Problems with the names of classes: results are kept by name, so each must be a text of its own."""
    problems, first = [], {}
    for category in categories:
        name, place = category["name"], f"categories: id {category['id']}: name is {shown(category['name'])}"
        if not is_class_name(name):
            expected = f"a text of 1 to {LONGEST_CLASS} characters, none of them a control character"
            problems.append(f"{place}, expected {expected}")
        elif (other := first.setdefault(name.strip(), category["id"])) != category["id"]:
            problems.append(f"{place} as that of id {other}, expected a name of its own")
    return problems


def is_class_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name.strip()) <= len(name) <= LONGEST_CLASS and is_printable(name)


def is_printable(text: str) -> bool:
    """Whether a text can be shown on one line and encoded as UTF-8."""
    return text.isprintable() or not any(unicodedata.category(character) in UNPRINTABLE for character in text)


def largest_id(section: str) -> int:
    """The largest id of a section: 64 bits, without sign for images and annotations, whose ids may be hashes."""
    return 2**63 - 1 if section == "categories" else 2**64 - 1


def is_id(value: Any, section: str) -> bool:
    return is_integer(value, -(2**63), largest_id(section))
