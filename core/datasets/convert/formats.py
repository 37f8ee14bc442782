"""The formats that can be converted, and which one a folder has."""

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

from core.datasets.convert import coco, cvat, label_studio, labelme, voc_xml, yolo
from core.datasets.convert.image_folder import ImageFolder
from core.datasets.convert.labeled import LabeledSet
from core.datasets.convert.xml_file import read_xml
from core.files.json_file import read_json

READERS: dict[str, Callable[[ImageFolder], LabeledSet]] = {
    "yolo": yolo.read,
    "voc": voc_xml.read,
    "labelme": labelme.read,
    "cvat": cvat.read,
    "label-studio": label_studio.read,
    "coco": coco.read,
}
IN_XML = {"voc": voc_xml.recognizes, "cvat": cvat.recognizes}
IN_JSON = {"labelme": labelme.recognizes, "label-studio": label_studio.recognizes, "coco": coco.recognizes}


def detect(folder: ImageFolder) -> tuple[str, Path]:
    """The format of a folder, and a file that shows it.

    Raises:
        ValueError: if there is none, or more than one.
    """
    found: dict[str, Path] = {}
    for endings, read, recognizers in (((".xml",), read_xml, IN_XML), ((".json",), _content, IN_JSON)):
        for path in folder.with_ending(*endings):
            content: Element | object = read(folder.full(path))
            if names := [name for name, recognizes in recognizers.items() if recognizes(content)]:
                found[names[0]] = path
                break
    if path := yolo.evidence(folder):
        found["yolo"] = path
    if len(found) == 1:
        return next(iter(found.items()))
    names = ", ".join(READERS)
    if not found:
        raise ValueError(f"{folder.root}: found images, but no labels in a format that is read: {names}")
    listed = ", ".join(f"{name} ({path})" for name, path in found.items())
    raise ValueError(f"{folder.root}: found labels in several formats: {listed}; say which with --format")


def _content(path: Path) -> object:
    return read_json(path)[0]
