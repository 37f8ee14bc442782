"""Generate the default data set: textured shapes that occlude each other, with masks, in COCO format.

    python -m core.datasets.sources.shapes --root datasets/shapes

Equal seeds give equal annotations and pixels; the two splits share no random stream.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from tqdm import tqdm

from core.compute.command import run_command
from core.datasets.sources.shape_drawing import CLASSES, DIAMETERS, Instance, draw

NUM_IMAGES = {"train": 480, "val": 150}
IMAGE_SIZE = 160  # px, square
JPEG_QUALITY = 90


def annotate(instance: Instance, annotation_id: int, image_id: int) -> dict:
    """COCO annotation of the visible part of an instance: tight box (xywh) and compressed run-length encoding."""
    rows, columns = np.nonzero(instance.mask)
    encoding = coco_mask.encode(np.asfortranarray(instance.mask, dtype=np.uint8))
    x, y = int(columns.min()), int(rows.min())
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": CLASSES.index(instance.name) + 1,
        "bbox": [x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1],
        "area": int(instance.mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": encoding["size"], "counts": encoding["counts"].decode("ascii")},
    }


def write_split(root: Path, split: str, num_images: int, *, seed: int, size: int, progress: bool) -> None:
    """Draw one split into `root/<split>/` and annotate it in `root/instances_<split>.json`."""
    (root / split).mkdir()
    images, annotations = [], []
    for image_id in tqdm(range(1, num_images + 1), desc=split, unit="image", disable=not progress):
        pixels, instances = draw(seed, split, image_id, size)
        file_name = f"{image_id:06}.jpg"
        Image.fromarray(pixels).save(root / split / file_name, quality=JPEG_QUALITY, subsampling="4:4:4")
        images.append({"id": image_id, "file_name": file_name, "width": size, "height": size, "license": 1})
        annotations += [annotate(instance, len(annotations) + i, image_id) for i, instance in enumerate(instances, 1)]
    content = {
        "info": {"description": f"generated shapes, {split}", "version": "1", "seed": seed},
        "licenses": [{"id": 1, "name": "CC0 1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name, "supercategory": "shape"} for i, name in enumerate(CLASSES, 1)],
    }
    (root / f"instances_{split}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


def generate(
    root: Path,
    num_images: dict[str, int] = NUM_IMAGES,
    *,
    seed: int = 0,
    size: int = IMAGE_SIZE,
    progress: bool = False,
) -> None:
    """Write the data set to `root`, completely or not at all; an earlier generated data set there is replaced.

    Raises:
        ValueError: if `root` exists but is not such a data set, or `size` is too small.
    """
    if root.exists() and not all((root / f"instances_{split}.json").is_file() for split in num_images):
        raise ValueError(f"{root}: exists but is not a generated data set, expected one to replace or a new folder")
    if size < 2 * DIAMETERS[0]:
        raise ValueError(f"size is {size} px, expected at least {2 * DIAMETERS[0]:.0f}: shapes must fit")
    root = root.absolute()
    partial = root.with_name(f".{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for split, count in num_images.items():
        write_split(partial, split, count, seed=seed, size=size, progress=progress)
    shutil.rmtree(root, ignore_errors=True)
    partial.rename(root)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.datasets.sources.shapes",
        description="Draw the generated data set: images, instances_train.json and instances_val.json (COCO format).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--root",
        type=Path,
        required=True,
        default=argparse.SUPPRESS,
        help="output folder; an earlier generated data set is replaced",
    )
    parser.add_argument("--train", type=int, default=NUM_IMAGES["train"], help="number of training images")
    parser.add_argument("--val", type=int, default=NUM_IMAGES["val"], help="number of validation images")
    parser.add_argument("--size", type=int, default=IMAGE_SIZE, help="width and height of the images, px")
    parser.add_argument("--seed", type=int, default=0, help="random seed; equal seeds give equal data sets")
    return run_command(partial(run, parser.parse_args(arguments)))


def run(options: argparse.Namespace) -> None:
    num_images = {"train": options.train, "val": options.val}
    generate(options.root, num_images, seed=options.seed, size=options.size, progress=True)


if __name__ == "__main__":
    sys.exit(main())
