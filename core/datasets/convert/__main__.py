"""Convert labels of other tools to a data set for this suite: `python -m core.datasets.convert photos datasets/own`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from core.compute.command import run_command
from core.datasets.convert.formats import READERS, detect
from core.datasets.convert.image_folder import ImageFolder
from core.datasets.convert.labeled import LabeledSet
from core.datasets.convert.splits import DEFAULT_SHARE, assign_splits
from core.datasets.convert.writing import require_new, write_data_set
from core.datasets.summary import summary


def convert(source: Path, root: Path, name: str | None, share: float | None, seed: int) -> None:
    """Convert the labels of the folder `source` to the data set `root`, and print what was done.

    Raises:
        ValueError: for labels or images that are not as expected, or a `root` that is not empty.
    """
    require_new(root, source)
    folder = ImageFolder(source)
    if name is None:
        name, path = detect(folder)
        print(f"format: {name}, by {path} (--format says another)")
    labeled = READERS[name](folder)
    _reject_repeated(folder, labeled)
    notes = labeled.notes
    crowds = sum(one.crowd for image in labeled.images for one in image.objects)
    notes["objects are crowds (iscrowd 1): not trained on, and ignored in evaluation"] += crowds
    notes["images have no labels and are left out"] += len(folder.images) - len(labeled.images)
    splits, how = assign_splits(labeled.images, share, seed, notes)
    files = write_data_set(root, source, splits, labeled.classes)
    print(f"split: {how}")
    for file in files.values():
        print("\n".join(summary(file)))
    for note, count in sorted((note, count) for note, count in notes.items() if count):
        print(note if note.startswith("note: ") else f"note: {count} {note}")
    print(f"next: python -m core.datasets.check {shlex.quote(str(root))}")
    print("then: the training that it advises")


def _reject_repeated(folder: ImageFolder, labeled: LabeledSet) -> None:
    source_of: dict[Path, Path] = {}
    for image in labeled.images:
        if image.path in source_of:
            files = " and ".join(sorted({str(folder.full(path)) for path in (source_of[image.path], image.source)}))
            raise ValueError(f"{files}: labels for {image.path} appear twice, expected them once")
        source_of[image.path] = image.source


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.datasets.convert",
        description="Convert a folder of images with labels of another tool to COCO files for this suite: "
        "YOLO (boxes and polygons), Pascal VOC XML, labelme, CVAT for images 1.1, Label Studio (JSON, JSON-MIN), COCO.",
    )
    parser.add_argument("source", type=Path, help="folder with the images and the labels, also in folders below it")
    parser.add_argument("root", type=Path, help="folder to write, such as datasets/own; must be new or empty")
    parser.add_argument("--format", choices=READERS, help="format of the labels (default: found out)")
    parser.add_argument(
        "--val-share",
        type=float,
        metavar="SHARE",
        help="share of the images to validate on, drawn at random "
        f"(default: the split that the labels have, else {DEFAULT_SHARE:g})",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the drawn split (default: 0)")
    options = parser.parse_args(arguments)
    return run_command(partial(convert, options.source, options.root, options.format, options.val_share, options.seed))


if __name__ == "__main__":
    sys.exit(main())
