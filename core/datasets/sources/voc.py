"""Convert Pascal VOC 2012 and SBD to instance files in COCO format.

VOC 2012 (Everingham et al. 2012) has 1,464 training and 1,449 validation images with instance masks. SBD (Hariharan et
al., ICCV 2011) adds masks by other annotators for 11,355 images of VOC 2011. `train_aug` is the usual training set
from both: 10,582 images, all images of either that are not in VOC's validation set.
"""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from tqdm import tqdm

from core.files.atomic import replaced

CATEGORIES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
BORDER = 255  # VOC's void label: a band along outlines that belongs to no instance

Instances = list[tuple[int, Bool[np.ndarray, "H W"]]]  # class (from 1, in the order above) and mask


def write_voc_files(voc: Path, sbd: Path, out: Path, *, progress: bool = False) -> None:
    """Write `out/instances_train_aug.json` and `out/instances_val.json`; existing files are kept.

    `voc` is the folder VOC2012, `sbd` is SBD's folder `dataset`. If an image has masks in both, VOC's are used.

    Raises:
        ValueError: if an image or a mask is missing or unreadable, or their sizes differ.
    """
    train, val = _names(voc / "ImageSets/Segmentation/train.txt"), _names(voc / "ImageSets/Segmentation/val.txt")
    augmented = {*train, *_names(sbd / "train.txt"), *_names(sbd / "val.txt")} - set(val)
    of_voc = partial(voc_instances, voc)
    readers = {name: of_voc if name in set(train) else partial(sbd_instances, sbd) for name in sorted(augmented)}
    out.mkdir(parents=True, exist_ok=True)
    for split, read in {"train_aug": readers, "val": dict.fromkeys(val, of_voc)}.items():
        target = out / f"instances_{split}.json"
        if target.exists():
            continue
        content = instance_file(voc / "JPEGImages", tqdm(read.items(), desc=split, unit="image", disable=not progress))
        with replaced(target) as unfinished:
            unfinished.write_text(json.dumps(content))


def instance_file(photos: Path, readers: Iterable[tuple[str, Callable[[str], Instances]]]) -> dict[str, Any]:
    """The content of a COCO instances file for these images; `readers` pairs each name with a reader of its instances.

    Image ids are the digits of the names (2007_000027: 2007000027). Boxes are the extents of the masks in whole pixels;
    masks are run-length encoded.

    Raises:
        ValueError: if a photo cannot be read, or its size differs from its masks.
    """
    images, annotations = [], []
    for name, read in readers:
        file_name, image_id = f"{name}.jpg", int(name.replace("_", ""))
        with _opened(photos / file_name) as photo:
            width, height = photo.size
        images.append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        for category_id, mask in read(name):
            if mask.shape != (height, width):
                found = f"{mask.shape[1]} x {mask.shape[0]}"
                raise ValueError(f"{photos / file_name}: is {width} x {height} pixels, its masks are {found}")
            encoding = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_id,
                    "bbox": coco_mask.toBbox(encoding).tolist(),
                    "area": int(coco_mask.area(encoding)),
                    "iscrowd": 0,
                    "segmentation": {"size": encoding["size"], "counts": encoding["counts"].decode()},
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(CATEGORIES, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def voc_instances(voc: Path, name: str) -> Instances:
    """The instances of a VOC 2012 image: SegmentationObject numbers them, SegmentationClass has their classes.

    Pixels of the border belong to no instance.

    Raises:
        ValueError: if a file cannot be read, or the two do not match.
    """
    path = voc / f"SegmentationObject/{name}.png"
    objects, classes = _indices(path), _indices(voc / f"SegmentationClass/{name}.png")
    if objects.shape != classes.shape:
        raise ValueError(f"{path}: has shape {objects.shape}, but the image in SegmentationClass has {classes.shape}")
    instances = []
    for number in np.unique(objects[(objects > 0) & (objects != BORDER)]):
        mask = objects == number
        counts = np.bincount(classes[mask], minlength=BORDER + 1)[1 : len(CATEGORIES) + 1]
        if not counts.any():
            raise ValueError(f"{path}: instance {number} has no class, expected one of 1 to {len(CATEGORIES)}")
        instances.append((int(counts.argmax()) + 1, mask))
    return instances


def sbd_instances(sbd: Path, name: str) -> Instances:
    """The instances of an SBD image: `inst/NAME.mat` numbers them and lists the class of each.

    Raises:
        ValueError: if the file cannot be read, or an instance has no class.
    """
    path = sbd / f"inst/{name}.mat"
    try:
        truth = loadmat(path, squeeze_me=True, struct_as_record=False)["GTinst"]
        objects, categories = truth.Segmentation, np.atleast_1d(truth.Categories)
    except (OSError, KeyError, AttributeError, TypeError, ValueError, MatReadError) as error:
        raise ValueError(f"{path}: cannot be read as an instance file of SBD ({error})") from error
    instances = []
    for number in np.unique(objects[objects > 0]):
        category_id = int(categories[number - 1]) if number <= len(categories) else 0
        if not 1 <= category_id <= len(CATEGORIES):
            raise ValueError(f"{path}: instance {number} has no class, expected one of 1 to {len(CATEGORIES)}")
        instances.append((category_id, objects == number))
    return instances


def _indices(path: Path) -> UInt8[np.ndarray, "H W"]:
    """Palette indices of an image; the colors are irrelevant."""
    image = _opened(path)
    if image.mode not in ("P", "L"):
        raise ValueError(f"{path}: is an image of mode {image.mode}, expected one with a palette")
    try:
        return np.asarray(image)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read as an image ({error})") from error


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read as an image ({error})") from error


def _names(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}), expected the names of a split") from error
