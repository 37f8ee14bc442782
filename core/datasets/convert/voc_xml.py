"""Pascal VOC: an XML file for each image, with `xmin ymin xmax ymax` of every object.

VOC counts pixels from 1, and the last one is inside: the box 1 1 40 24 is a whole image of 40 x 24 pixels. Some tools
write coordinates from 0 into this format, which a 0 betrays; then xmax and ymax are taken as the far edges.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from core.datasets.convert.image_folder import ImageFolder
from core.datasets.convert.labeled import LabeledImage, LabeledSet, ObjectCollector, is_crowd_marked, used_classes
from core.datasets.convert.splits import splits_by_folder
from core.datasets.convert.xml_file import Tag, declared_size, located, number, read_xml
from core.files.shown import shown

ROOT_TAG = "annotation"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def recognizes(root: Tag) -> bool:
    return root.tag == ROOT_TAG


def read(folder: ImageFolder) -> LabeledSet:
    """Read all XML files; objects marked as difficult are crowds: ignored, as VOC's evaluation does.

    Raises:
        ValueError: for anything that is not as expected; names file and line.
    """
    notes: Counter[str] = Counter()
    roots = {}
    for path in folder.with_ending(".xml"):
        root = read_xml(folder.full(path))
        if not recognizes(root):
            raise ValueError(f"{folder.full(path)}: <{root.tag}>, expected <{ROOT_TAG}> as in Pascal VOC")
        roots[path] = root
    if not roots:
        raise ValueError(f"{folder.root}: found no XML file, expected one for each image")
    corners = {
        element: _corners(element, folder.full(path)) for path, root in roots.items() for element in root.iter("object")
    }
    first = 0 if any(min(box[:2]) < 1 for box in corners.values()) else 1
    if corners and first == 0:
        notes["note: a box begins at pixel 0, so all boxes are read as counted from 0, not 1"] += 1
    images = []
    for path, root in roots.items():
        place = str(folder.full(path))
        image = folder.find(root.findtext("filename") or path.name, place, beside=path, stem=path.stem)
        declared = declared_size(root.findtext("size/width"), root.findtext("size/height"), place)
        width, height = folder.size(image, place, declared)
        found = ObjectCollector(width, height, notes)
        for element in root.findall("object"):
            x1, y1, x2, y2 = corners[element]
            name = (element.findtext("name") or "").strip()
            crowd = is_crowd_marked({child.tag: child.text for child in element})
            found.add_box(located(folder.full(path), element), name, (x1 - first, y1 - first, x2, y2), crowd=crowd)
            notes["polygons are left out, and their boxes kept"] += element.find("polygon") is not None
        images.append(LabeledImage(image, width, height, found.objects(), path))
    split_of = _splits(folder, [image.path for image in images])
    images = [replace(image, split=split_of[image.path]) for image in images]
    return LabeledSet(folder.class_order(used_classes(images)), images, notes)


def _corners(element: Tag, path: Path) -> tuple[float, ...]:
    box = element.find("bndbox")
    if box is None:
        raise ValueError(f"{located(path, element)}: <object> has no <bndbox>")
    return tuple(number(box.findtext(corner), located(path, box), corner) for corner in CORNERS)


def _splits(folder: ImageFolder, images: list[Path]) -> dict[Path, str | None]:
    """The split of every image: by ImageSets/Main or another folder of ImageSets, or else by the names of folders."""
    lists = {
        path: split
        for split in ("train", "val", "test")
        for path in folder.files
        if path.name == f"{split}.txt" and "ImageSets" in path.parts
    }
    kinds = sorted({path.parent for path in lists}, key=lambda parent: parent.name != "Main")
    if not kinds:
        return splits_by_folder(images)
    split_of: dict[Path, str | None] = dict.fromkeys(images)
    stems = {image.stem: image for image in images}
    for path, split in lists.items():
        for line_number, line in enumerate(folder.lines(path) if path.parent == kinds[0] else [], 1):
            stem = line.split()[0] if line else ""
            if line and stem not in stems:
                place = f"{folder.full(path)}, line {line_number}"
                raise ValueError(f"{place}: image {shown(stem)} has no XML file, expected one for each image")
            if line:
                split_of[stems[stem]] = split
    return split_of
