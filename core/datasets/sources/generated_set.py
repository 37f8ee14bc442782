"""Write a generated data set: its images as JPEG and its instances in COCO format."""

import argparse
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from pycocotools import mask as coco_mask
from tqdm import tqdm

from core.compute.command import run_command
from core.datasets.sources.shape_drawing import CLASSES, Instance

IMAGE_SIZE = 160  # px, square
JPEG_QUALITY = 90
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}

Draw = Callable[[int, str, int, int], tuple[UInt8[np.ndarray, "H W 3"], list[Instance]]]  # seed, split, index, size


@dataclass(frozen=True)
class GeneratedSet:
    """How a data set is drawn, and what its files say about it."""

    description: str
    version: str
    draw: Draw
    num_images: dict[str, int]  # by split
    smallest_size: int  # px, of an image

    def write(
        self,
        root: Path,
        num_images: dict[str, int] | None = None,
        *,
        seed: int = 0,
        size: int = IMAGE_SIZE,
        progress: bool = False,
    ) -> None:
        """Write the data set to `root`, completely or not at all; an earlier generated data set there is replaced.

        Raises:
            ValueError: if `root` exists but is not such a data set, or `size` is too small.
        """
        num_images = num_images or self.num_images
        kept = num_images.keys() - {"test"}  # which earlier sets lack
        if root.exists() and not all((root / f"instances_{split}.json").is_file() for split in kept):
            raise ValueError(f"{root}: exists but is not a generated data set, expected one to replace or a new folder")
        if size < self.smallest_size:
            raise ValueError(f"size is {size} px, expected at least {self.smallest_size}: shapes must fit")
        root = root.absolute()
        partial_root = root.with_name(f".{root.name}.partial")
        shutil.rmtree(partial_root, ignore_errors=True)
        partial_root.mkdir(parents=True)
        for split, count in num_images.items():
            self._write_split(partial_root, split, count, seed=seed, size=size, progress=progress)
        shutil.rmtree(root, ignore_errors=True)
        partial_root.rename(root)

    def _write_split(self, root: Path, split: str, num_images: int, *, seed: int, size: int, progress: bool) -> None:
        """Draw one split into `root/<split>/` and annotate it in `root/instances_<split>.json`."""
        (root / split).mkdir()
        images, annotations = [], []
        for image_id in tqdm(range(1, num_images + 1), desc=split, unit="image", disable=not progress):
            pixels, instances = self.draw(seed, split, image_id, size)
            name = f"{image_id:06}.jpg"
            Image.fromarray(pixels).save(root / split / name, quality=JPEG_QUALITY, subsampling="4:4:4")
            images.append({"id": image_id, "file_name": name, "width": size, "height": size, "license": 1})
            annotations += [
                annotate(instance, len(annotations) + i, image_id) for i, instance in enumerate(instances, 1)
            ]
        content = {
            "info": {"description": f"{self.description}, {split}", "version": self.version, "seed": seed},
            "licenses": [{"id": 1, "name": "CC0 1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}],
            "images": images,
            "annotations": annotations,
            "categories": [{"id": i, "name": name, "supercategory": "shape"} for i, name in enumerate(CLASSES, 1)],
        }
        (root / f"instances_{split}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


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


def generate_by_command(generated: GeneratedSet, module: str, arguments: Sequence[str] | None) -> int:
    """The command line of a module that generates a data set; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=f"Draw the {generated.description}: images, and instances_<split>.json in COCO format.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--root",
        type=Path,
        required=True,
        default=argparse.SUPPRESS,
        help="output folder; an earlier generated data set is replaced",
    )
    for split, count in generated.num_images.items():
        parser.add_argument(f"--{split}", type=int, default=count, help=f"number of {SPLIT_NAMES[split]} images")
    parser.add_argument("--size", type=int, default=IMAGE_SIZE, help="width and height of the images, px")
    parser.add_argument("--seed", type=int, default=0, help="random seed; equal seeds give equal data sets")
    return run_command(partial(run, generated, parser.parse_args(arguments)))


def run(generated: GeneratedSet, options: argparse.Namespace) -> None:
    given = {split: getattr(options, split) for split in generated.num_images}
    num_images = {split: count for split, count in given.items() if count or split != "test"}
    generated.write(options.root, num_images, seed=options.seed, size=options.size, progress=True)
