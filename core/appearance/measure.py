"""Measure the objects and edges of annotation files, as a training at given image sizes sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
from jaxtyping import Float
from torchvision.transforms.v2.functional import pil_to_tensor
from tqdm import tqdm

from core.appearance.coloring import Coloring, measure_coloring
from core.appearance.outlines import Outlines, measure_outlines
from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.annotations_in_view import full_masks
from core.datasets.coco import CocoDataset
from core.datasets.masks import has_area
from core.datasets.transforms import View, apply_view, fixed_view
from core.datasets.view_sizes import MOSTLY_MISSED
from core.edge_purity import EdgeCounts, edge_purity
from core.neighborhood import Neighborhood
from core.targets.color_similarity import rgb_to_lab

THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4)
TEMPERATURE = 2.0  # of the color similarity, as in AdelaiDet


@dataclass(frozen=True)
class Sizes:
    """How images are resized, and which objects count: those whose box has at least the side `smallest`."""

    short_side: int  # px
    long_side_max: int  # px
    smallest: float = MOSTLY_MISSED  # px of the resized image, square root of the area of the box
    ignored_bottom_rows: int = 0  # px of the file

    def view(self, record: ImageRecord) -> View:
        sides = {"short_side": self.short_side, "long_side_max": self.long_side_max}
        return fixed_view(record.height, record.width, 0, 0, **sides)


@dataclass(frozen=True)
class Appearance:
    """What was measured: a row per object, the objects per image, the edges of all objects together."""

    per_image: list[int]  # objects; images without are left out
    outlines: Outlines
    coloring: dict[str, Float[np.ndarray, " N"]]  # by field of Coloring; NaN where it could not be measured
    edges: EdgeCounts


def measure(files: Sequence[AnnotationFile], sizes: Sizes, *, progress: bool = False) -> Appearance:
    """Measure the objects with a mask of all files together. Crowds are left out.

    Raises:
        ValueError: if a file has problems or no object that counts, or a photo cannot be read.
    """
    outlines, coloring, per_image, edges = [], [], [], []
    for file in files:
        dataset = CocoDataset(
            file,
            view_of=partial(fixed_view, short_side=sizes.short_side, long_side_max=sizes.long_side_max),
            choose=lambda records, categories: [_counted(record, sizes) for record in records],
            ignored_bottom_rows=sizes.ignored_bottom_rows,
        )
        neighborhood = Neighborhood()
        edges.append(edge_purity(dataset, THRESHOLDS, [neighborhood], TEMPERATURE, progress=progress)[neighborhood])
        for index in tqdm(range(len(dataset)), desc="objects", unit="image", disable=not progress):
            record = dataset.records[index]
            if not len(record.boxes):
                continue
            view = sizes.view(record)
            masks = full_masks(list(record.segmentations), view, (record.height, record.width)).bool().numpy()
            scale = np.array([view.size[1] / record.width, view.size[0] / record.height] * 2)
            lab = rgb_to_lab(pil_to_tensor(apply_view(dataset.load_image(index), view)).movedim(0, -1)).numpy()
            per_image.append(len(masks))
            outlines.append(measure_outlines(masks, record.boxes * scale))
            coloring += [measure_coloring(lab, mask) for mask in masks]
    return Appearance(
        per_image=per_image,
        outlines=Outlines(**{f.name: np.concatenate([getattr(o, f.name) for o in outlines]) for f in fields(Outlines)}),
        coloring={
            f.name: np.array([np.nan if c is None else getattr(c, f.name) for c in coloring], dtype=np.float64)
            for f in fields(Coloring)
        },
        edges=_sum(edges),
    )


def _counted(record: ImageRecord, sizes: Sizes) -> ImageRecord:
    """The image with only those objects that count."""
    height, width = sizes.view(record).size
    sides = np.sqrt((record.boxes[:, 2:] - record.boxes[:, :2]).prod(1) * height * width / record.height / record.width)
    kept = [i for i, side in enumerate(sides) if side >= sizes.smallest and has_area(record.segmentations[i])]
    return replace(
        record,
        boxes=record.boxes[kept],
        labels=record.labels[kept],
        annotation_ids=tuple(record.annotation_ids[i] for i in kept),
        segmentations=tuple(record.segmentations[i] for i in kept),
    )


def _sum(counts: Sequence[EdgeCounts]) -> EdgeCounts:
    """The counts of several data sets as one."""

    def total(name: str):
        values = [getattr(count, name) for count in counts]
        return tuple(map(sum, zip(*values, strict=True))) if isinstance(values[0], tuple) else sum(values)

    names = (f.name for f in fields(EdgeCounts) if f.name != "thresholds")
    return EdgeCounts(counts[0].thresholds, **{name: total(name) for name in names})
