"""Photos of people from COCO val2017, small enough to train on a CPU: a subset made from the official archives.

`people_images.json` lists the ids. `train` and `val` have photos with exactly one annotated person, with polygons;
`boxes_only` has photos with several, without masks. Photos are scaled to a long side of at most 320 px.
"""

import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from core.datasets.sources.archive import DAMAGED
from core.files.atomic import replaced

LIST_OF_IMAGES = Path(__file__).with_name("people_images.json")
FILES = {"train": "instances_train.json", "val": "instances_val.json", "boxes_only": "boxes_only.json"}
ANNOTATIONS = "annotations/instances_val2017.json"  # in COCO's archive of annotations
LONG_SIDE = 320  # px
JPEG_QUALITY = 90
PERSON = {"id": 1, "name": "person", "supercategory": "person"}
DESCRIPTION = (
    "People in COCO val2017 photos, longer side scaled to at most 320 px; annotations CC BY 4.0 (cocodataset.org), "
    "images under their own Flickr licences"
)
IMAGE_KEYS = ("license", "flickr_url")  # kept for attribution of the photo


def write_people(
    root: Path, annotations: Path, photos: Path, *, list_of_images: Path = LIST_OF_IMAGES, progress: bool = False
) -> None:
    """Write `root/images` and the three annotation files from COCO's archives annotations_trainval2017 and val2017.

    None of them may exist yet (`is_made`).

    Raises:
        ValueError: if an archive is damaged or lacks a file, or its annotations do not match the list.
    """
    splits = json.loads(list_of_images.read_bytes())
    unfinished = root / ".images.partial"
    try:
        with zipfile.ZipFile(annotations) as archive:
            official = json.loads(archive.read(ANNOTATIONS))
        contents = {split: people_file(official, ids, masks=split != "boxes_only") for split, ids in splits.items()}
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a killed process
        unfinished.mkdir(parents=True)
        with zipfile.ZipFile(photos) as archive:
            images = [image for content in contents.values() for image in content["images"]]
            for image in tqdm(images, desc="people", unit="photo", disable=not progress):
                photo = Image.open(io.BytesIO(archive.read(f"val2017/{image['file_name']}")))
                size = (image["width"], image["height"])
                small = photo.convert("RGB").resize(size, Image.Resampling.LANCZOS)
                small.save(unfinished / image["file_name"], quality=JPEG_QUALITY)
        os.replace(unfinished, root / "images")
    except (*DAMAGED, KeyError) as error:
        raise ValueError(f"{annotations} or {photos}: is damaged or lacks a file ({error})") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for split, content in contents.items():
        with replaced(root / FILES[split]) as unfinished_file:
            unfinished_file.write_text(json.dumps(content, separators=(",", ":")))


def is_made(root: Path, list_of_images: Path = LIST_OF_IMAGES) -> bool:
    """Whether the annotation files and all photos of the list exist.

    Raises:
        ValueError: if only some exist: they may be the user's own and are not overwritten.
    """
    ids = [image_id for split in json.loads(list_of_images.read_bytes()).values() for image_id in split]
    photos = [root / "images" / f"{image_id:012d}.jpg" for image_id in ids]
    missing = [path for path in [*(root / name for name in FILES.values()), *photos] if not path.is_file()]
    if missing and any((root / name).exists() for name in ["images", *FILES.values()]):
        found = f"{root}: contains some of the files, but {len(missing)} are missing, such as {missing[0]}"
        raise ValueError(f"{found}; expected all or none; move the folder away")
    return not missing


def people_file(official: dict[str, Any], image_ids: list[int], *, masks: bool) -> dict[str, Any]:
    """The content of an annotation file for these images, made from the content of the official instances file.

    With `masks`, each image has one annotation of a person: polygons, and COCO's area, scaled. Without, it has several:
    boxes and their areas, with a crowd counted as one person. Coordinates refer to the scaled photo, rounded to
    hundredths of a pixel; each axis is scaled by the ratio of its whole-pixel sizes. Annotations are numbered from 1 in
    the order of `image_ids`.

    Raises:
        ValueError: if an image is missing from the official file, or its annotations of people are not as above.
    """
    known = {image["id"]: image for image in official["images"]}
    of_people: dict[int, list[dict]] = {}
    for annotation in official["annotations"]:
        if annotation["category_id"] == PERSON["id"]:
            of_people.setdefault(annotation["image_id"], []).append(annotation)
    images, annotations = [], []
    for image_id in image_ids:
        if image_id not in known:
            raise ValueError(f"image {image_id}: not in {ANNOTATIONS}, expected one of COCO's validation images")
        image, people = known[image_id], of_people.get(image_id, [])
        if (len(people) == 1) != masks or not people:
            expected = "one" if masks else "several"
            raise ValueError(f"image {image_id}: has {len(people)} annotations of people, expected {expected}")
        width, height = scaled_size(image["width"], image["height"])
        x_scale, y_scale = width / image["width"], height / image["height"]
        sizes = {"id": image_id, "file_name": image["file_name"], "width": width, "height": height}
        images.append(sizes | {key: image[key] for key in IMAGE_KEYS})
        for annotation in people:
            entry = {"id": len(annotations) + 1, "image_id": image_id, "category_id": PERSON["id"]}
            entry["bbox"] = _scaled(annotation["bbox"], x_scale, y_scale)
            entry["area"] = round(entry["bbox"][2] * entry["bbox"][3], 2)
            entry["iscrowd"] = 0
            if masks:
                if annotation["iscrowd"]:
                    raise ValueError(f"annotation {annotation['id']} (image {image_id}): is a crowd, expected a person")
                entry["area"] = round(annotation["area"] * x_scale * y_scale, 2)
                entry["segmentation"] = [_scaled(part, x_scale, y_scale) for part in annotation["segmentation"]]
            annotations.append(entry)
    return {
        "info": {"description": DESCRIPTION},
        "licenses": official["licenses"],
        "images": images,
        "annotations": annotations,
        "categories": [PERSON],
    }


def scaled_size(width: int, height: int) -> tuple[int, int]:
    """Width and height (px) after scaling the long side to at most 320; half a pixel rounds to even."""
    scale = min(1.0, LONG_SIDE / max(width, height))
    return round(width * scale), round(height * scale)


def _scaled(values: list[int | float], x_scale: float, y_scale: float) -> list[int | float]:
    """Alternating x and y, scaled and rounded to hundredths."""
    return [round(value * (y_scale if index % 2 else x_scale), 2) for index, value in enumerate(values)]
