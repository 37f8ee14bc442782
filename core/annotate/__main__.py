"""Masks by a trained network, as a COCO file and as pictures: of what it detects in photos, or of given boxes.

    python -m core.annotate --checkpoint store/KEY/checkpoint.pt --images photos --out annotated
    python -m core.annotate --checkpoint store/KEY/checkpoint.pt --images photos --out filled --boxes boxes.json
    python -m core.annotate --grabcut --images photos --out filled --boxes boxes.json

With --boxes the file written is the given one with a mask for each box that has none; all else in it stays. Where the
network has no mask for a box, its mask is the filled box, and its annotation says "mask_source": "box". GrabCut needs
no training: it cuts the masks out of the boxes by color.

Photos that cannot be read are named at the end; everything else is written. A run that was interrupted, in any way,
goes on where it stopped if it is started again with the same arguments.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import torch

from core.annotate.box_masks import GrabCutMasks, NetworkMasks
from core.annotate.detected import Annotated, annotate
from core.annotate.filled import Filled, fill_boxes
from core.annotate.output import ANNOTATIONS, Pictures
from core.compute.command import run_command
from core.compute.compute import Compute
from core.compute.device import check_device

SOME_FAILED = 1  # exit status


def run(options: argparse.Namespace) -> int:
    check_device(options.device)
    if options.replace_masks and options.boxes is None:
        raise ValueError("--replace-masks: there are no masks to replace, expected --boxes FILE with it")
    if options.whole_photos and (options.boxes is None or options.grabcut):
        raise ValueError("--whole-photos: says how a network looks at given boxes, expected --checkpoint and --boxes")
    if options.grabcut and options.boxes is None:
        raise ValueError("--grabcut: it finds no objects, expected --boxes FILE with it")
    try:
        done, summary = annotated(options)
    except KeyboardInterrupt:
        print(f"\n{options.out}: run the same command again to resume", file=sys.stderr)
        raise
    if done.started_over:
        print(f"the interrupted run was not resumed: {', '.join(done.started_over)}", file=sys.stderr)
    print(f"{options.out / ANNOTATIONS}: {summary}")
    if not done.failed:
        return 0
    print(f"{len(done.failed)} photo(s) left out:", *done.failed.values(), sep="\n  ", file=sys.stderr)
    return SOME_FAILED


def annotated(options: argparse.Namespace) -> tuple[Annotated | Filled, str]:
    """Do what the options say; returns what was done, also in words."""
    progress = sys.stderr.isatty()
    shared = {"images": options.images, "out": options.out, "pictures": options.pictures}
    if options.boxes is None:
        compute = Compute(options.device, progress=progress)
        found = annotate(options.checkpoint, compute=compute, **shared, min_score=options.min_score)
        return found, f"{len(found.annotations)} instances in {len(found.images)} photos"
    source = GrabCutMasks() if options.grabcut else network_masks(options)
    filled = fill_boxes(source, options.boxes, **shared, replace_masks=options.replace_masks, progress=progress)
    return filled, in_words(filled)


def network_masks(options: argparse.Namespace) -> NetworkMasks:
    return NetworkMasks.read(options.checkpoint, device=options.device, close_views=not options.whole_photos)


def in_words(done: Filled) -> str:
    """What became of the boxes, a line for each of their kinds."""
    lines = [f"{done.num_masks} masks for {done.num_boxes} boxes"]
    if done.fallbacks:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in done.fallbacks.items())
        lines.append(f"{done.fallbacks.total()} of them the filled box (mask_source: box): {reasons}")
    if done.num_kept:
        lines.append(f"{done.num_kept} boxes have a mask, which stays (--replace-masks makes a new one)")
    if done.num_crowds:
        lines.append(f"{done.num_crowds} crowds stay as they are")
    if done.num_flat:
        lines.append(f"{done.num_flat} boxes of width or height 0 stay without a mask")
    return "\n  ".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.annotate",
        description=__doc__,
        epilog="Exit status 1 if photos were left out because they cannot be read.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument(
        "--checkpoint",
        type=Path,
        help="checkpoint.pt of a training, or the one in store/KEY, where KEY is a trial_key of results/*.csv",
    )
    sources.add_argument("--grabcut", action="store_true", help="with --boxes: masks by GrabCut instead of a network")
    add("--images", type=Path, required=True, help="folder of photos")
    add("--out", type=Path, required=True, help=f"output folder for {ANNOTATIONS} and the pictures")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--boxes", type=Path, help="COCO file to fill: a mask for each of its boxes without one")
    kinds.add_argument(
        "--min-score", type=float, default=0.5, help="leave out detections below this score (default: %(default)s)"
    )
    add("--replace-masks", action="store_true", help="with --boxes: new masks also for boxes that have one")
    add(
        "--whole-photos",
        action="store_true",
        help="with --boxes: one view of each photo instead of one of each box; faster, coarser masks of small boxes",
    )
    add(
        "--pictures",
        choices=get_args(Pictures),
        default="auto",
        help="one of each photo, in its size; auto: PNG of a PNG, else JPEG (default: %(default)s)",
    )
    add(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N (default: %(default)s)",
    )
    return run_command(partial(run, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
