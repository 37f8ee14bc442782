"""YOLO: a text file for each image, with a line `class x y width height` or `class x1 y1 x2 y2 x3 y3 ...` per object.

All numbers but the class are fractions of the image's width and height; x and y are the middle of the box. The names of
the classes and the splits are in data.yaml (Ultralytics, Roboflow), obj.data (Darknet, CVAT) or classes.txt (Label
Studio, labelImg).
"""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from core.config.file import read_yaml
from core.datasets.convert.image_folder import ImageFolder
from core.datasets.convert.labeled import LabeledImage, LabeledSet, ObjectCollector
from core.datasets.convert.splits import SPLIT_OF, split_in, splits_by_folder
from core.files.shown import shown

NAMES_FILES = ("classes.txt", "obj.names", "_darknet.labels")
LISTS = ("train.txt", "valid.txt", "val.txt", "test.txt")
SLACK = 0.01  # beyond 0..1, by rounding


def evidence(folder: ImageFolder) -> Path | None:
    """The file by which one sees that a folder has this format."""
    if config := _config(folder):
        return config[0]
    images = {image.with_suffix(".txt") for image in folder.images}
    return next((path for path in folder.with_ending(".txt") if path in images or "labels" in path.parts), None)


def read(folder: ImageFolder) -> LabeledSet:
    """Read all images; one without a text file, or with an empty one, has no object.

    Raises:
        ValueError: for anything that is not as expected; names file and line.
    """
    notes: Counter[str] = Counter()
    config = _config(folder)
    classes = _class_names(folder, config)
    split_of = _splits(folder, config, notes)
    label_files = _label_files(folder, notes)
    images, corners = [], set()
    for path in folder.images:
        source = label_files.get(path)
        width, height = folder.size(path, str(folder.full(source or path)))
        found = ObjectCollector(width, height, notes)
        for line_number, line in enumerate(folder.lines(source) if source else [], 1):
            if line:
                corners.add(_add_object(found, line, f"{folder.full(source)}, line {line_number}", classes))
        images.append(LabeledImage(path, width, height, found.objects(), source or path, split_of[path]))
    if corners == {4}:
        notes["note: all polygons have 4 corners and are taken as masks; oriented boxes are none"] += 1
    return LabeledSet(classes, images, notes)


def _add_object(found: ObjectCollector, line: str, place: str, classes: list[str]) -> int:
    """Add the object of a line; returns its number of corners, 0 for a box."""
    index, *rest = line.split()
    try:
        name = classes[int(index)] if int(index) >= 0 else None
    except (ValueError, IndexError):
        name = None
    if name is None:
        raise ValueError(f"{place}: class is {shown(index)}, expected one of 0 to {len(classes) - 1}")
    if len(rest) != 4 and (len(rest) < 6 or len(rest) % 2):
        expected = "5 (class, x, y, width, height) or an odd number from 7 on (class and a polygon)"
        raise ValueError(f"{place}: has {len(rest) + 1} values, expected {expected}")
    try:
        values = [float(value) for value in rest]
    except ValueError:
        raise ValueError(f"{place}: {shown(line)} is not made of numbers") from None
    if wrong := [value for value in values if not -SLACK <= value <= 1 + SLACK]:
        raise ValueError(f"{place}: has {wrong[0]:g}, expected fractions of the image's width and height, 0 to 1")
    if len(values) > 4:
        found.add_polygon(
            place, name, [(x * found.width, y * found.height) for x, y in zip(values[::2], values[1::2], strict=True)]
        )
        return len(values) // 2
    x, y, width, height = values
    left, right = ((x + side * width / 2) * found.width for side in (-1, 1))
    top, bottom = ((y + side * height / 2) * found.height for side in (-1, 1))
    found.add_box(place, name, (left, top, right, bottom))
    return 0


def _config(folder: ImageFolder) -> tuple[Path, dict[str, Any]] | None:
    """The settings file: the first YAML file with the key `names`, else obj.data."""
    for path in folder.with_ending(".yaml", ".yml"):
        content = read_yaml(folder.full(path))
        if "names" in content:
            return path, content
    for path in folder.with_ending(".data"):
        pairs = [line.split("=", 1) for line in folder.lines(path) if "=" in line]
        content = {key.strip(): value.strip() for key, value in pairs}
        if "names" in content:
            return path, content
    return None


def _class_names(folder: ImageFolder, config: tuple[Path, dict[str, Any]] | None) -> list[str]:
    if config and not isinstance(names := config[1].get("names"), str | None):
        place = folder.full(config[0])
        if "kpt_shape" in config[1]:
            raise ValueError(f"{place}: has kpt_shape: labels of keypoints are not read, expected boxes or polygons")
        if isinstance(names, dict):
            if set(names) != {str(index) for index in range(len(names))}:
                raise ValueError(f"{place}: names has the keys {shown(list(names))}, expected 0 to {len(names) - 1}")
            names = [names[str(index)] for index in range(len(names))]
        if not isinstance(names, list) or not names or not all(type(name) in (str, int) for name in names):
            raise ValueError(
                f"{place}: names is {shown(names)}, expected a list of texts; put true and false in quotes"
            )
        return [str(name) for name in names]
    for path in folder.files:
        if path.name in NAMES_FILES:
            names = folder.lines(path)
            while names and not names[-1]:
                names.pop()
            return names
    raise ValueError(f"{folder.root}: found no names of classes; expected data.yaml, or classes.txt with one a line")


def _splits(
    folder: ImageFolder, config: tuple[Path, dict[str, Any]] | None, notes: Counter[str]
) -> dict[Path, str | None]:
    """The split of every image: by the settings file, or else by the names of folders."""
    split_of: dict[Path, str | None] = {}
    place, content = config or (None, {})
    for key in ("train", "val", "valid", "test"):
        entries = content.get(key) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            chosen = _images_of(folder, entry, f"{folder.full(place)}: {key}", required=key != "test")
            for image in chosen:
                if split_of.setdefault(image, SPLIT_OF[key]) != SPLIT_OF[key]:
                    notes[f"images of {key} are also in {split_of[image]}, and kept there alone"] += 1
    if not split_of:
        return splits_by_folder(folder.images)
    return dict.fromkeys(folder.images) | split_of


def _images_of(folder: ImageFolder, entry: Any, place: str, *, required: bool) -> list[Path]:
    """The images of a folder or a list that a settings file names, by as much of its path as exists here."""
    parts = PurePosixPath(str(entry).replace("\\", "/")).parts
    if not parts:
        return folder.images
    for start in range(len(parts)):
        if start and split_in(parts[start - 1]):
            break  # valid/images must not become train/images
        tail = Path(*parts[start:])
        if ".." in tail.parts or tail.is_absolute():
            continue
        if lists := [path for path in folder.with_ending(".txt") if path.parts[-len(tail.parts) :] == tail.parts]:
            lines = enumerate(folder.lines(lists[0]), 1)
            return [folder.find(line, f"{folder.full(lists[0])}, line {n}") for n, line in lines if line]
        if inside := [image for image in folder.images if _is_inside(image, tail)]:
            return inside
    if required:
        raise ValueError(f"{place} is {shown(entry)}, found no such folder or list in {folder.root}")
    return []


def _is_inside(image: Path, tail: Path) -> bool:
    """Whether a folder of the image's path ends with these parts."""
    folders, count = image.parent.parts, len(tail.parts)
    return any(folders[start : start + count] == tail.parts for start in range(len(folders) - count + 1))


def _label_files(folder: ImageFolder, notes: Counter[str]) -> dict[Path, Path]:
    """The text file of each image that has one: beside it, or in the folder `labels` for its folder `images`."""
    texts = {path for path in folder.with_ending(".txt") if path.name not in (*NAMES_FILES, *LISTS)}
    by_stem: dict[str, list[Path]] = {}
    for path in sorted(texts):
        if "labels" in path.parts:
            by_stem.setdefault(path.stem, []).append(path)
    stems = Counter(image.stem for image in folder.images)
    found: dict[Path, Path] = {}
    for image in folder.images:
        beside, parts = image.with_suffix(".txt"), list(image.parts)
        swapped = [
            Path(*parts[:index], "labels", *parts[index + 1 :]).with_suffix(".txt")
            for index in reversed(range(len(parts) - 1))
            if parts[index] == "images"
        ]
        alone = by_stem.get(image.stem, []) if stems[image.stem] == 1 and len(by_stem.get(image.stem, [])) == 1 else []
        if label := next((path for path in [beside, *swapped, *alone] if path in texts), None):
            found[image] = label
    if not found:
        raise ValueError(f"{folder.root}: no image has a text file of its name, beside it or in a folder `labels`")
    image_of: dict[Path, Path] = {}
    for image, label in found.items():
        if (first := image_of.setdefault(label, image)) != image:
            raise ValueError(f"{folder.full(label)}: has the name of {first} and of {image}, expected one image")
    unused = sorted(path for path in texts - set(found.values()) if not path.name.startswith("README"))
    if unused:
        notes[f"text files have no image of their name and are left out, such as {unused[0]}"] += len(unused)
    return found
