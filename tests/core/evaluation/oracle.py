"""Gray images of rectangles, and a network that looks its answers up."""

import json
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor, nn

from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset
from core.datasets.transforms import fixed_view
from core.geometry import ltrb_from_boxes, pyramid_locations
from core.structures import Predictions

HEIGHT, WIDTH = 48, 64
BOXES = {  # xywh by image id; the gray value of an image is its id
    10: [(8, 8, 24, 16), (40, 16, 16, 24)],
    20: [(16, 4, 40, 40)],
    30: [],
}
CATEGORY_IDS = (3, 8)  # labels 0 and 1; the first box of an image is of label 0, the second of label 1


def write_data(root: Path, boxes: dict[int, list[tuple[int, ...]]] = BOXES, *, masks: bool = True) -> Path:
    """Gray images whose instances are rectangles, and their annotation file."""
    annotations = []
    for image_id, of_image in boxes.items():
        Image.new("RGB", (WIDTH, HEIGHT), (image_id,) * 3).save(root / f"{image_id}.png")
        for label, (x, y, width, height) in enumerate(of_image):
            outline = [float(v) for v in (x, y, x + width, y, x + width, y + height, x, y + height)]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": image_id,
                    "category_id": CATEGORY_IDS[label],
                    "bbox": [x, y, width, height],
                }
                | ({"segmentation": [outline], "area": width * height, "iscrowd": 0} if masks else {})
            )
    images = [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in boxes]
    categories = [{"id": i, "name": f"class {i}"} for i in CATEGORY_IDS]
    path = root / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def open_data(path: Path, short_side: int = HEIGHT) -> tuple[CocoDataset, AnnotationFile]:
    file = AnnotationFile.read(path, path.parent)
    return CocoDataset(file, view_of=partial(fixed_view, short_side=short_side, long_side_max=1000)), file


class Oracle(nn.Module):
    """Finds every object of BOXES, told by the gray value of the image; masks are the rectangles.

    `height_share` makes the masks lower than their objects, from the bottom. Stride 4, one level.
    """

    def __init__(self, *, blind: bool = False, height_share: float = 1.0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.frozen = nn.BatchNorm2d(1).eval()
        self.blind = blind
        self.height_share = height_share

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Predictions:
        assert not self.training
        assert not torch.is_grad_enabled()
        grid = (images.shape[2] // 4, images.shape[3] // 4)
        locations, level_index, strides = pyramid_locations([grid], [4])
        class_logits = torch.full((len(images), len(locations), 2), -20.0)
        ltrb = torch.ones(len(images), len(locations), 4)
        self.boxes = torch.zeros(len(images), len(locations), 4)
        for image, (height, _) in enumerate(image_sizes):
            for label, (x, y, w, h) in enumerate(BOXES[int(images[image, 0, 0, 0])]):
                box = torch.tensor([x, y, x + w, y + h]) * (height / HEIGHT)
                distances = ltrb_from_boxes(locations, box.expand(len(locations), 4))
                center = int(distances.amin(1).argmax())
                class_logits[image, center, label] = -20.0 if self.blind else 4.0 - label
                ltrb[image, center] = distances[center] / 4
                self.boxes[image, center] = box
        centerness_logits = torch.full((len(images), len(locations)), 20.0)
        features = torch.zeros(len(images), 1, *grid)
        return Predictions(class_logits, ltrb, centerness_logits, locations, level_index, strides, [], features)

    def predict_masks(
        self,
        predictions: Predictions,
        image_index: Int64[Tensor, " N"],
        location_index: Int64[Tensor, " N"],
        num_per_image: list[int],
    ) -> Float[Tensor, "N h w"]:
        height, width = predictions.mask_features.shape[-2:]
        # Cell i samples pixel 4i + 2; its probability crosses 0.5 half way to the next cell: at pixel 4i + 4.
        y, x = torch.arange(height)[:, None] * 4 + 2, torch.arange(width) * 4 + 2
        x1, y1, x2, y2 = self.boxes[image_index, location_index][:, :, None, None].unbind(1)
        y2 = y1 + (y2 - y1) * self.height_share
        inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
        return inside.float() * 40 - 20
