"""The settings that a data set asks for: the size of its views, and the length of its training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import Config, DataConfig
from core.datasets.annotation_file import ImageRecord
from core.datasets.view_sizes import share_under, view_sides

SMALL, MAX_SMALL_SHARE = 24.0, 0.1  # px, and the share of the boxes that may be smaller
STEP = 64  # px between the sizes that are tried
LARGEST = 1024  # px, of `max(data.short_sides)`; about where COCO's recipes are
ENOUGH_STEPS = 1200  # of training, for the recipes that count epochs
ZOOM = (1.0, 2.0)  # of random crops


@dataclass(frozen=True)
class ViewSize:
    """A size of the views, and what it does to the boxes."""

    side: int  # px, `max(data.short_sides)`
    small_share: float  # of the boxes that stay under SMALL


def view_candidates(records: Sequence[ImageRecord], data: DataConfig) -> list[ViewSize]:
    """The sizes worth a training, from the recipe's up to the first at which few boxes are small.

    They go in steps of STEP, and end where the median photo has its own size: larger views show no more. Assignment's
    `size_boundaries` do not follow: they are pixels of the view, tied to the strides of the levels, which stay. The
    recipes with views of 256 and of 800 px have the same, too.
    """
    base = max(data.short_sides)
    proportion = data.long_side_max / base
    own = np.median([max(min(r.height, r.width), max(r.height, r.width) / proportion) for r in records] or [0])
    limit = min(math.ceil(own / STEP) * STEP, LARGEST)
    found: list[ViewSize] = []
    for side in (base, *range((base // STEP + 1) * STEP, limit + 1, STEP)):
        found.append(ViewSize(side, share_under(view_sides(records, resized(data, side)), SMALL)))
        if found[-1].small_share <= MAX_SMALL_SHARE:
            break
    return found


def resized(data: DataConfig, side: int) -> DataConfig:
    """The settings with all sizes of views scaled, so that the largest short side is `side`."""
    base = max(data.short_sides)
    scaled = {
        "short_sides": tuple(round(short * side / base) for short in data.short_sides),
        "val_short_side": round(data.val_short_side * side / base),
        "long_side_max": round(data.long_side_max * side / base),
    }
    return data.model_copy(update=scaled)


def settings_for(config: Config, size: ViewSize) -> dict[str, Any]:
    """The settings that differ from the recipe's for views of this size, by dotted name.

    Zoom comes with a pairwise term whose weight rises until the end: at its full weight masks in crops tend to fill
    their boxes, the more so the longer the training (measured on people and on nuclei).
    """
    data = config.data
    changed = resized(data, size.side)
    settings: dict[str, Any] = {}
    if _zooms(data, size):
        changed = changed.model_copy(update={"scale_range": ZOOM})
        if config.loss.pairwise and config.loss.pairwise_warmup < 1:
            settings["loss.pairwise_warmup"] = 1.0
    names = ("short_sides", "val_short_side", "long_side_max", "scale_range")
    of_data = {
        f"data.{name}": getattr(changed, name) for name in names if getattr(changed, name) != getattr(data, name)
    }
    return of_data | settings


def _zooms(data: DataConfig, size: ViewSize) -> bool:
    return size.small_share > MAX_SMALL_SHARE and data.scale_range is None


def size_line(data: DataConfig, candidates: Sequence[ViewSize], chosen: ViewSize, too_slow: str = "") -> str:
    """Why this size; `too_slow` says why none of the larger candidates."""
    first = candidates[0]
    text = f"{chosen.side} px: {chosen.small_share:.0%} of the boxes are under {SMALL:g} px there"
    if chosen.side > first.side:
        text += f", {first.small_share:.0%} at the recipe's {first.side} px"
    if chosen.small_share <= MAX_SMALL_SHARE:
        return text
    why = too_slow or ("the photos have no more pixels" if chosen.side < LARGEST else "the limit of this advice")
    text += f"; larger: {why}"
    if _zooms(data, chosen):
        text += (
            ". data.scale_range zooms into random crops: more boxes large enough to learn a mask from; a longer "
            "loss.pairwise_warmup, since at the term's full weight masks in such crops tend to fill their boxes"
        )
    return text


def epochs_for(config: Config, num_images: int) -> int | None:
    """Epochs of at least ENOUGH_STEPS steps, never fewer than the recipe's; None for a recipe that counts steps.

    `num_images` are those with a box, unless the config keeps the others.
    """
    training = config.training
    if training.epochs is None:
        return None
    per_epoch = max(num_images // (training.batch_size * training.accumulation), 1)
    return max(math.ceil(ENOUGH_STEPS / per_epoch), training.epochs)


def evaluate_every(config: Config, epochs: int) -> int | None:
    """Epochs between evaluations, so that there are as many as in the recipe; None where the recipe's fit."""
    every = config.training.evaluate_every
    if every is None or epochs == config.training.epochs:
        return None
    return math.ceil(epochs * every / config.training.epochs)
