"""Which images train, validate or test: as the labels say, or drawn at random."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.datasets.convert.labeled import LabeledImage

DEFAULT_SHARE = 0.2  # of the images, to validate on
SPLIT_OF = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip


def split_in(name: str) -> str | None:
    """The split that the words of a name mean: `instances_val2017.json` means val."""
    found = {SPLIT_OF[word] for word in re.split("[^a-z]+", name.lower()) if word in SPLIT_OF}
    return found.pop() if len(found) == 1 else None


def splits_by_folder(images: Sequence[Path]) -> dict[Path, str | None]:
    """The splits that the folders of the images mean, if some are called train and others val."""
    found = {image: next(filter(None, map(split_in, image.parent.parts)), None) for image in images}
    return found if {"train", "val"} <= set(found.values()) else dict.fromkeys(images)


def assign_splits(
    images: list[LabeledImage], share: float | None, seed: int, notes: Counter[str]
) -> tuple[dict[str, list[LabeledImage]], str]:
    """The images by split, in the order given, and how they came to it.

    The labels' own split is kept if it has images to train and to validate on, and no `share` is given. Otherwise this
    share of all images that are not for testing, at least one, is drawn to validate on.

    Raises:
        ValueError: if there are fewer than two images to draw from, or the share is not between 0 and 1.
    """
    given = {split: [image for image in images if image.split == split] for split in ("train", "val", "test", None)}
    if share is None and given["train"] and given["val"]:
        if given[None]:
            notes["images that the labels' own split does not name are left out"] += len(given[None])
        return {split: chosen for split, chosen in given.items() if split and chosen}, "as the labels say"
    share = DEFAULT_SHARE if share is None else share
    if not 0 < share < 1:
        raise ValueError(f"--val-share is {share:g}, expected a number between 0 and 1")
    pool = [image for image in images if image.split != "test"]
    if len(pool) < 2:
        raise ValueError(f"{len(pool)} images to train and validate on, expected at least 2")
    num_val = min(max(round(share * len(pool)), 1), len(pool) - 1)
    drawn = set(random.Random(seed).sample(range(len(pool)), num_val))
    splits = {
        "train": [replace(image, split="train") for index, image in enumerate(pool) if index not in drawn],
        "val": [replace(image, split="val") for index, image in enumerate(pool) if index in drawn],
    }
    if given["test"]:
        splits["test"] = given["test"]
    return splits, f"drawn at random: --val-share {share:g} --seed {seed}"
