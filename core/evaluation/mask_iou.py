"""How well masks agree with true masks of the same objects: the IoU of each pair of annotations with the same id.

    python -m core.evaluation.mask_iou filled/annotations.json --against instances.json

For a file that `python -m core.annotate --boxes` filled, and for any other whose annotations have the ids of a file of
true masks. Crowds are left out. Beside the masks, the boxes of the true masks are measured as if they were masks.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from core.compute.command import run_command
from core.datasets.annotation_checks import annotation_problem, check_sections, located, repeated_ids
from core.datasets.annotation_file import MAX_PROBLEMS_SHOWN
from core.datasets.crowds import is_crowd
from core.datasets.image_checks import image_problem
from core.datasets.masks import encode, has_area, is_filled_box
from core.datasets.segmentation_checks import segmentation_problem
from core.files.json_file import read_json


@dataclass(frozen=True)
class Mask:
    """The mask of an annotation."""

    encoding: dict  # run-length encoding
    size: tuple[int, int]  # height, width of its image
    box: list[float | int]  # x, y, width, height, as in the file
    is_filled_box: bool  # as the file says


@dataclass(frozen=True)
class MaskIous:
    """The IoU of each pair of masks of the same annotation."""

    masks: np.ndarray
    boxes: np.ndarray  # of the true box, filled, with the true mask
    is_filled_box: np.ndarray  # as the file with the masks says
    num_without: int  # true masks whose annotation has no mask in the file, or is not there


def compare_masks(masks: dict[int, Mask], truth: dict[int, Mask]) -> MaskIous:
    """The IoU of masks with true masks, both by annotation id; those without a true one are left out.

    Raises:
        ValueError: if there is no pair, or one differs in the size of its image.
    """
    both = [annotation_id for annotation_id in truth if annotation_id in masks]
    if not masks:
        raise ValueError("no annotation of the file with the masks has one")
    if not both:
        found = f"{len(masks)} annotations with a mask, and {len(truth)} with a true one"
        raise ValueError(f"no pair of masks: {found}, but none with the same id in both files")
    for annotation_id in both:
        found, expected = masks[annotation_id].size, truth[annotation_id].size
        if found != expected:
            raise ValueError(
                f"annotation {annotation_id}: its image has size (height, width) {found}, expected {expected} as in "
                "the file of true masks: are these the same objects?"
            )
    pairs = [(masks[annotation_id], truth[annotation_id]) for annotation_id in both]
    return MaskIous(
        masks=np.array([_iou(mask.encoding, true.encoding) for mask, true in pairs]),
        boxes=np.array([_iou(_filled(true.box, *true.size), true.encoding) for _, true in pairs]),
        is_filled_box=np.array([mask.is_filled_box for mask, _ in pairs]),
        num_without=len(truth) - len(both),
    )


def _iou(first: dict, second: dict) -> float:
    return float(coco_mask.iou([first], [second], [0])[0, 0])


def _filled(box: list[float | int], height: int, width: int) -> dict:
    x, y, box_width, box_height = box
    right, bottom = x + box_width, y + box_height
    return encode([[x, y, right, y, right, bottom, x, bottom]], height, width)


def read_masks(path: Path) -> dict[int, Mask]:
    """The masks of a COCO file by annotation id, without those of crowds; photos are not looked for.

    Raises:
        ValueError: if the file cannot be read, or an entry or a mask is malformed; names the first few.
    """
    content, _ = read_json(path)
    check_sections(content, path, kind="instances")
    problems = repeated_ids(content) + [found for entry in content["images"] if (found := image_problem(entry))]
    images = {entry["id"]: entry for entry in content["images"]}
    labels = {entry["id"]: label for label, entry in enumerate(content["categories"])}
    masks = {}
    for annotation in content["annotations"] if not problems else ():
        if problem := annotation_problem(annotation, images, labels):
            problems.append(problem)
            continue
        segmentation = annotation.get("segmentation")
        if is_crowd(annotation) or segmentation is None:
            continue
        image = images[annotation["image_id"]]
        size = image["height"], image["width"]
        if problem := segmentation_problem(segmentation, *size):
            problems.append(located(annotation["id"], annotation["image_id"], problem))
        elif has_area(segmentation):
            masks[annotation["id"]] = Mask(
                encode(segmentation, *size), size, annotation["bbox"], is_filled_box(annotation)
            )
    if problems:
        raise ValueError("\n  ".join([f"{path}: {len(problems)} problem(s)", *problems[:MAX_PROBLEMS_SHOWN]]))
    return masks


def table(ious: MaskIous) -> str:
    """Number, mean and median of the IoUs: of all masks, of those that are and are not filled boxes, of the boxes."""
    filled, count = ious.is_filled_box, len(ious.masks)
    share = f"filled boxes ({filled.mean():.1%})"
    rows = {"masks": ious.masks}
    if filled.any():
        rows |= {f"  {share}": ious.masks[filled], "  others": ious.masks[~filled]}
    rows |= {"the true boxes, filled": ious.boxes}
    lines = [f"{'IoU with the true masks':<26}{'number':>8}{'mean':>8}{'median':>8}"]
    lines += [f"{name:<26}{_numbers(values)}" for name, values in rows.items()]
    if ious.num_without:
        lines.append(f"not measured: {ious.num_without} of {count + ious.num_without} true masks have no mask there")
    return "\n".join(lines)


def _numbers(values: np.ndarray) -> str:
    if not len(values):
        return f"{0:>8}{'-':>8}{'-':>8}"
    return f"{len(values):>8}{values.mean():>8.3f}{np.median(values):>8.3f}"


def run(options: argparse.Namespace) -> None:
    print(table(compare_masks(read_masks(options.masks), read_masks(options.against))))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.evaluation.mask_iou",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("masks", type=Path, help="COCO file with the masks to measure")
    parser.add_argument("--against", type=Path, required=True, metavar="TRUTH", help="COCO file with true masks")
    return run_command(partial(run, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
