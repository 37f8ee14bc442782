"""CVAT's own format, "CVAT for images 1.1": one XML file for all images.

Coordinates are continuous pixels. Shapes of one label and `group_id` are parts of one object.
"""

from collections import Counter

import numpy as np
from jaxtyping import Bool

from core.datasets.convert.image_folder import ImageFolder
from core.datasets.convert.labeled import (
    LabeledImage,
    LabeledSet,
    ObjectCollector,
    ellipse_box,
    is_crowd_marked,
    rotated,
)
from core.datasets.convert.splits import split_in, splits_by_folder
from core.datasets.convert.xml_file import Tag, declared_size, located, number, read_xml
from core.files.shown import shown

ROOT_TAG = "annotations"
BOX = ("xtl", "ytl", "xbr", "ybr")
ELLIPSE = ("cx", "cy", "rx", "ry")
WITHOUT_AREA = ("points", "polyline", "skeleton", "cuboid", "tag")


def recognizes(root: Tag) -> bool:
    return root.tag == ROOT_TAG


def read(folder: ImageFolder) -> LabeledSet:
    """Read the XML files: boxes, polygons, masks, and ellipses as boxes; the classes of several must be the same.

    Raises:
        ValueError: for anything that is not as expected; names file and line.
    """
    notes: Counter[str] = Counter()
    classes: list[str] = []
    images = []
    by_folder = splits_by_folder(folder.images)
    for path in folder.with_ending(".xml"):
        root, full = read_xml(folder.full(path)), folder.full(path)
        if not recognizes(root):
            raise ValueError(f"{full}: <{root.tag}>, expected <{ROOT_TAG}> as in CVAT for images 1.1")
        if root.find("track") is not None:
            raise ValueError(f"{full}: has tracks, so it is CVAT for video; export it as CVAT for images 1.1")
        labels = [label for label in next(root.iter("labels"), ()) if label.find("parent") is None]
        names = [(label.findtext("name") or "").strip() for label in labels]  # without those of the parts of skeletons
        if not names:
            raise ValueError(f"{full}: has no <labels> with the names of the classes, expected them under <meta>")
        if classes not in ([], names):
            raise ValueError(f"{full}: labels are {shown(names)}, expected those of the other file: {shown(classes)}")
        classes = names
        for element in root.findall("image"):
            place = located(full, element)
            image = folder.find(element.get("name", ""), place, beside=path)
            declared = declared_size(element.get("width"), element.get("height"), place)
            width, height = folder.size(image, place, declared)
            found = ObjectCollector(width, height, notes)
            for shape in element:
                if shape.get("label") not in names:
                    expected = f"expected one of {shown(names)}"
                    raise ValueError(f"{located(full, shape)}: label is {shown(shape.get('label'))}, {expected}")
                _add_shape(found, shape, located(full, shape))
            split = split_in(element.get("subset", "")) or by_folder[image]
            images.append(LabeledImage(image, width, height, found.objects(), path, split))
    if not images:
        raise ValueError(f"{folder.root}: found no <image> in an XML file, expected CVAT's annotations.xml")
    return LabeledSet(classes, images, notes)


def _add_shape(found: ObjectCollector, shape: Tag, place: str) -> None:
    label, group = shape.get("label"), shape.get("group_id", "0")
    marks = {
        "crowd": is_crowd_marked({child.get("name", ""): child.text for child in shape.findall("attribute")}),
        "group": None if group in ("", "0") else group,
    }
    angle = number(shape.get("rotation", "0"), place, "rotation")
    if shape.tag == "box":
        x1, y1, x2, y2 = box = [number(shape.get(name), place, name) for name in BOX]
        if angle:
            found.notes["boxes are turned, and become the upright boxes around them"] += 1
            corners = rotated(box, angle, ((x1 + x2) / 2, (y1 + y2) / 2))
            found.add_polygon(place, label, corners, as_box=True, **marks)
        else:
            found.add_box(place, label, box, **marks)
    elif shape.tag == "polygon":
        found.add_polygon(place, label, _points(shape.get("points", ""), place), **marks)
    elif shape.tag == "mask":
        left, top, width, height = (
            int(number(shape.get(name), place, name)) for name in ("left", "top", "width", "height")
        )
        if width < 1 or height < 1 or width > found.width or height > found.height:
            raise ValueError(
                f"{place}: mask has {width} x {height} pixels, in an image of {found.width} x {found.height}"
            )
        found.add_mask(place, label, _mask(shape.get("rle", ""), width, height, place), left=left, top=top, **marks)
    elif shape.tag == "ellipse":
        found.notes["ellipses become the boxes around them"] += 1
        values = [number(shape.get(name), place, name) for name in ELLIPSE]
        found.add_box(place, label, ellipse_box(*values, angle), **marks)
    elif shape.tag in WITHOUT_AREA:
        found.notes[f"shapes of type {shown(shape.tag)} are left out"] += 1
    else:
        raise ValueError(f"{place}: <{shape.tag}>, expected a shape of CVAT for images 1.1")


def _points(text: str, place: str) -> list[tuple[float, ...]]:
    """The vertices of `x,y;x,y;...`."""
    points = [tuple(number(value, place, "a coordinate") for value in pair.split(",")) for pair in text.split(";")]
    if not all(len(point) == 2 for point in points):
        raise ValueError(f"{place}: points are {shown(text)}, expected x,y;x,y;...")
    return points


def _mask(text: str, width: int, height: int, place: str) -> Bool[np.ndarray, "h w"]:
    """A mask from run lengths off, on, off, ... along the rows of its own box."""
    runs = [number(value, place, "a run length") for value in text.split(",")]
    if min(runs) < 0 or sum(runs) != width * height or not all(run.is_integer() for run in runs):
        expected = f"whole numbers that add up to {width} x {height}"
        raise ValueError(f"{place}: rle adds up to {sum(runs):g} pixels, expected {expected}")
    on = np.arange(len(runs)) % 2 == 1
    return np.repeat(on, np.array(runs, dtype=np.int64)).reshape(height, width)
