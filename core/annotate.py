"""Annotate photos with a trained network: masks and boxes as a COCO file, and a picture of each photo.

python -m core.annotate --checkpoint store/KEY/checkpoint.pt --images photos --out annotated

Photos that cannot be read are named at the end; everything else is written, also if the run is interrupted.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pycocotools import mask as coco_mask
from tqdm import tqdm

from core.checkpoints.network import load_checkpoint_network
from core.compute.command import run_command
from core.compute.compute import Compute
from core.compute.device import check_device
from core.compute.precision import autocast
from core.datasets.annotation_file import AnnotationFile
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset
from core.datasets.photo_folder import PICTURE_MARK, is_drawn, list_photos
from core.datasets.transforms import fixed_view
from core.drawing import draw_instances
from core.evaluation.detection import coco_results
from core.evaluation.postprocess import detect
from core.files.atomic import replaced
from core.files.json_file import read_json

ANNOTATIONS = "annotations.json"
MADE_HERE = {"description": "written by core.annotate"}  # `info` of the file
SOME_FAILED = 1  # exit status


@dataclass
class Annotated:
    """What a run found: the entries of the COCO file, and why photos were left out, by name."""

    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def annotate(checkpoint: Path, images: Path, out: Path, compute: Compute, *, min_score: float) -> Annotated:
    """Write `out/annotations.json` (COCO, run-length encoded masks, scores) and a PNG per photo.

    Instances with a score below `min_score` are left out, and photos that cannot be read; pictures of an earlier run
    are no photos (`list_photos`). Whatever ends the run, what was found until then is written.

    Raises:
        ValueError: if the checkpoint cannot be read, the folder has no photo that can be read, or a file that no
            earlier run wrote would be replaced.
    """
    model, config, categories = load_checkpoint_network(checkpoint, device=compute.device)
    listed, failed = list_photos(images)
    check_nothing_is_replaced(listed, out)
    names = [{"id": label, "name": name} for label, name in enumerate(categories, 1)]
    view = partial(fixed_view, short_side=config.data.val_short_side, long_side_max=config.data.long_side_max)
    content = {"info": MADE_HERE, "images": listed, "categories": names, "annotations": []}
    photos = AnnotationFile.from_content(content, path=images, image_folder=images)
    dataset = CocoDataset(photos, view_of=view, upright=True)
    out.mkdir(parents=True, exist_ok=True)
    thresholds = config.inference.model_dump(exclude={"batch_size"})
    done = Annotated(failed=failed)
    try:
        for index, entry in enumerate(tqdm(listed, unit="photo", disable=not compute.progress)):
            try:
                sample, photo = dataset[index], dataset.load_image(index)
            except ValueError as error:
                done.failed[entry["file_name"]] = str(error)
                continue
            with torch.inference_mode(), autocast(config.training.precision, compute.device):
                found = detect(model, collate([sample]).to(compute.device), **thresholds)[0]
            picture = draw_instances(
                photo, found.boxes, found.labels, found.masks, categories, found.scores, min_score=min_score
            )
            save_picture(picture, out / picture_name(entry))
            done.images.append(entry)
            for box, mask in zip(*coco_results(found, entry["id"], dataset.category_ids), strict=True):
                if box["score"] >= min_score:
                    number, area = len(done.annotations) + 1, int(coco_mask.area(mask["segmentation"]))
                    done.annotations.append({"id": number, "area": area, "iscrowd": 0} | box | mask)
    finally:
        with replaced(out / ANNOTATIONS) as partial_file:
            partial_file.write_text(json.dumps(content | {"images": done.images, "annotations": done.annotations}))
    return done


def check_nothing_is_replaced(listed: list[dict[str, Any]], out: Path) -> None:
    """Raise a ValueError if a file that no earlier run wrote has the name of one that this run is to write."""
    paths = [out / picture_name(entry) for entry in listed]
    foreign = [path for path in paths if path.exists() and not is_drawn(path)]
    if (out / ANNOTATIONS).exists() and _info_of(out / ANNOTATIONS) != MADE_HERE:
        foreign.append(out / ANNOTATIONS)
    if foreign:
        expected = "expected none or one of an earlier run: move it away, or choose another --out"
        raise ValueError(f"{foreign[0]}: was not written by core.annotate and would be replaced; {expected}")


def _info_of(path: Path) -> Any:
    try:
        content, _ = read_json(path)
    except ValueError:
        return None
    return content.get("info") if isinstance(content, dict) else None


def picture_name(entry: dict[str, Any]) -> str:
    return f"{entry['file_name']}.png"


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture, marked as such, so that it is never taken for a photo."""
    mark = PngInfo()
    mark.add_text(*PICTURE_MARK)
    with replaced(path) as partial_file:
        picture.save(partial_file, format="PNG", pnginfo=mark)


def run(options: argparse.Namespace) -> int:
    check_device(options.device)
    compute = Compute(options.device, progress=True)
    done = annotate(options.checkpoint, options.images, options.out, compute, min_score=options.min_score)
    print(f"{options.out / ANNOTATIONS}: {len(done.annotations)} instances in {len(done.images)} photos")
    if not done.failed:
        return 0
    print(f"{len(done.failed)} photo(s) left out:", *done.failed.values(), sep="\n  ", file=sys.stderr)
    return SOME_FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.annotate",
        description="Annotate a folder of photos with a trained network: writes a COCO file and a picture of each. "
        "Exit status 1 if photos were left out because they cannot be read.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        help="checkpoint.pt in store/KEY, where KEY is a trial_key of results/*.csv",
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--out", type=Path, required=True, help="output folder for annotations.json and the pictures")
    parser.add_argument("--min-score", type=float, default=0.5, help="leave out instances below this score")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda or cuda:N")
    return run_command(partial(run, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
