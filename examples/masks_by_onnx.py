"""Masks by a salient-object network in ONNX, such as U2-Net, for the boxes of a COCO file.

    pip install onnxruntime pillow pycocotools
    python examples/masks_by_onnx.py --network u2net.onnx --images datasets/own/images \\
        --boxes datasets/own/instances_train.json --out datasets/own/masks.json

The network sees each box with a fifth of its size around it, and says for each pixel how probable the object is. The
file written is the given one with a new `segmentation` for each box but those of crowds: the pixels of the box above
0.5. A box in which there are none gets no mask; with `--fill` its mask is the whole box, marked by `mask_source`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask

MARGIN = 0.2  # of the box's width and height, on each side
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])  # ImageNet's


def mask_in(photo: Image.Image, box: Sequence[float], network: Any) -> tuple[np.ndarray, np.ndarray]:
    """The mask of the object in a box (x, y, width, height, pixels of the photo), and the filled box, as images."""
    x, y, width, height = box
    left, top = max(int(x - MARGIN * width), 0), max(int(y - MARGIN * height), 0)
    right, bottom = (int(np.ceil(end + MARGIN * side)) for end, side in ((x + width, width), (y + height, height)))
    crop = photo.crop((left, top, min(right, photo.width), min(bottom, photo.height)))
    (taken,) = network.get_inputs()
    pixels = np.asarray(crop.resize(taken.shape[:1:-1], Image.Resampling.LANCZOS), dtype=np.float32)
    pixels = (pixels / max(pixels.max(), 1) - MEAN) / STD
    probable = network.run(None, {taken.name: pixels.transpose(2, 0, 1)[None]})[0][0, 0]
    mask, filled = np.zeros((2, photo.height, photo.width), dtype=bool)
    in_crop = np.asarray(Image.fromarray(probable).resize(crop.size, Image.Resampling.BILINEAR)) > 0.5
    mask[top : top + crop.height, left : left + crop.width] = in_crop
    filled[round(y) : max(round(y + height), round(y) + 1), round(x) : max(round(x + width), round(x) + 1)] = True
    return mask & filled, filled


def add_masks(content: dict[str, Any], images: Path, network: Any, *, fill: bool) -> None:
    image_of = {image["id"]: image for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation.get("iscrowd"):
            continue
        annotation.pop("segmentation", None)
        image = image_of[annotation["image_id"]]
        photo = Image.open(images / image["file_name"])
        if photo.size != (image["width"], image["height"]):  # annotated upright, stored turned
            photo = ImageOps.exif_transpose(photo)
        mask, filled = mask_in(photo.convert("RGB"), annotation["bbox"], network)
        if not mask.any() and fill:
            mask, annotation["mask_source"] = filled, "box"
        if mask.any():
            encoding = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
            annotation["segmentation"] = encoding | {"counts": encoding["counts"].decode()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", required=True, help="ONNX file: one image of 3 channels in, a map of 0 to 1 out")
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--boxes", type=Path, required=True, help="COCO file of boxes, such as instances_train.json")
    parser.add_argument("--out", type=Path, required=True, help="COCO file to write")
    parser.add_argument("--fill", action="store_true", help="give boxes without a mask the filled box")
    options = parser.parse_args(arguments)
    import onnxruntime  # only now: no dependency of this project

    content = json.loads(options.boxes.read_text())
    add_masks(content, options.images, onnxruntime.InferenceSession(options.network), fill=options.fill)
    options.out.write_text(json.dumps(content))


if __name__ == "__main__":
    main()
