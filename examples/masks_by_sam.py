"""Masks by SAM 2 for the boxes of a COCO file, each box a prompt: a file for `supervision.pseudo_masks`.

    pip install 'transformers>=4.56' torch pillow pycocotools
    python examples/masks_by_sam.py --images datasets/own/images --boxes datasets/own/instances_train.json \\
        --out datasets/own/masks.json

It needs internet: the first run downloads the network. The file written is the given one with a new `segmentation` for
each box but those of crowds; a box in which SAM 2 sees nothing gets none.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask


def add_masks(content: dict[str, Any], images: Path, processor: Any, model: Any) -> None:
    of_image = defaultdict(list)
    for annotation in content["annotations"]:
        if not annotation.get("iscrowd"):
            annotation.pop("segmentation", None)
            of_image[annotation["image_id"]].append(annotation)
    for image in content["images"]:
        if annotations := of_image[image["id"]]:
            photo = Image.open(images / image["file_name"])
            if photo.size != (image["width"], image["height"]):  # annotated upright, stored turned
                photo = ImageOps.exif_transpose(photo)
            boxes = [[x, y, x + width, y + height] for x, y, width, height in (a["bbox"] for a in annotations)]
            inputs = processor(images=photo.convert("RGB"), input_boxes=[boxes], return_tensors="pt").to(model.device)
            with torch.inference_mode():
                outputs = model(**inputs, multimask_output=False)  # one mask for each box
            masks = processor.post_process_masks(outputs.pred_masks.cpu(), inputs["original_sizes"].cpu())[0][:, 0]
            for annotation, mask in zip(annotations, masks.numpy(), strict=True):
                if mask.any():
                    encoding = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
                    annotation["segmentation"] = encoding | {"counts": encoding["counts"].decode()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--boxes", type=Path, required=True, help="COCO file of boxes, such as instances_train.json")
    parser.add_argument("--out", type=Path, required=True, help="COCO file to write")
    parser.add_argument("--model", default="facebook/sam2.1-hiera-large", help="default: %(default)s")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    from transformers import Sam2Model, Sam2Processor  # only now: no dependency of this project

    processor = Sam2Processor.from_pretrained(options.model)
    model = Sam2Model.from_pretrained(options.model).to(options.device).eval()
    content = json.loads(options.boxes.read_text())
    add_masks(content, options.images, processor, model)
    options.out.write_text(json.dumps(content))


if __name__ == "__main__":
    main()
