"""Annotate photos with a trained network: masks and boxes as a COCO file, and a picture of each photo.

python -m core.annotate --checkpoint store/KEY/checkpoint.pt --images photos --out annotated
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError
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
from core.datasets.photo import upright_size
from core.datasets.transforms import fixed_view
from core.drawing import draw_instances
from core.evaluation.detection import coco_results
from core.evaluation.postprocess import detect
from core.files.atomic import replaced

ANNOTATIONS = "annotations.json"


def list_photos(images: Path, categories: list[str]) -> dict[str, Any]:
    """The content of a COCO file that lists the photos of a folder, without annotations; other files are skipped.

    Raises:
        ValueError: if the folder has no image, or one whose header cannot be read.
    """
    entries = []
    for path in sorted(path for path in images.iterdir() if path.is_file()):
        try:
            with Image.open(path) as image:
                width, height = upright_size(image)
        except UnidentifiedImageError:
            continue
        except OSError as error:
            raise ValueError(f"{path}: cannot be read as an image ({error})") from error
        entries.append({"id": len(entries) + 1, "file_name": path.name, "width": width, "height": height})
    if not entries:
        raise ValueError(f"{images}: found no image in this folder")
    names = [{"id": label, "name": name} for label, name in enumerate(categories, 1)]
    return {"images": entries, "categories": names, "annotations": []}


def annotate(checkpoint: Path, images: Path, out: Path, compute: Compute, *, min_score: float) -> int:
    """Write `out/annotations.json` (COCO, run-length encoded masks, scores) and a PNG per photo.

    Returns the number of instances with a score of at least `min_score`; the others are left out.
    """
    model, config, categories = load_checkpoint_network(checkpoint, device=compute.device)
    content = list_photos(images, categories)
    out.mkdir(parents=True, exist_ok=True)
    view = partial(fixed_view, short_side=config.data.val_short_side, long_side_max=config.data.long_side_max)
    photos = AnnotationFile.from_content(content, path=images, image_folder=images)
    dataset = CocoDataset(photos, view_of=view, upright=True)
    annotations: list[dict[str, Any]] = []
    thresholds = config.inference.model_dump(exclude={"batch_size"})
    for index, entry in enumerate(tqdm(content["images"], unit="photo", disable=not compute.progress)):
        with torch.inference_mode(), autocast(config.training.precision, compute.device):
            found = detect(model, collate([dataset[index]]).to(compute.device), **thresholds)[0]
        picture = draw_instances(
            dataset.load_image(index), found.boxes, found.labels, found.masks, categories, found.scores,
            min_score=min_score,
        )  # fmt: skip
        picture.save(out / f"{entry['file_name']}.png")
        for box, mask in zip(*coco_results(found, entry["id"], dataset.category_ids), strict=True):
            if box["score"] >= min_score:
                number, area = len(annotations) + 1, int(coco_mask.area(mask["segmentation"]))
                annotations.append({"id": number, "area": area, "iscrowd": 0} | box | mask)
    with replaced(out / ANNOTATIONS) as partial_file:
        partial_file.write_text(json.dumps(content | {"annotations": annotations}))
    return len(annotations)


def run(options: argparse.Namespace) -> None:
    check_device(options.device)
    compute = Compute(options.device, progress=True)
    count = annotate(options.checkpoint, options.images, options.out, compute, min_score=options.min_score)
    print(f"{options.out / ANNOTATIONS}: {count} instances")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.annotate",
        description="Annotate a folder of photos with a trained network: writes a COCO file and a picture of each.",
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
