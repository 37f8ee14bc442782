"""Networks that replay predictions, made by hand or recorded from AdelaiDet's inference (golden j)."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int64
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from core.geometry import pyramid_locations
from core.model.mask_head import MaskHead
from core.structures import Batch, Predictions

SETTINGS = {"score_threshold": 0.05, "max_candidates": 1000, "nms_threshold": 0.6, "max_detections": 100}
COORDINATE_SCALES = torch.tensor([64.0, 128, 256, 512, 1024])  # CondInst, per level


def predictions_of(
    class_probabilities: Float[Tensor, "P K"],
    ltrb: Float[Tensor, "P 4"],
    *,
    centerness: Float[Tensor, " P"] | None = None,
    level_sizes: tuple[tuple[int, int], ...] = ((1, 4),),
) -> Predictions:
    """Predictions of one image; centerness is 1 unless it is given."""
    locations, level_index, strides = pyramid_locations(list(level_sizes), [8, 16, 32][: len(level_sizes)])
    if centerness is None:
        centerness = torch.ones(len(locations))
    return Predictions(
        class_logits=torch.logit(class_probabilities)[None],
        ltrb=ltrb[None],
        centerness_logits=torch.logit(centerness)[None],
        locations=locations,
        level_index=level_index,
        strides=strides,
        box_tower=[],
        mask_features=torch.zeros(1, 8, 4, 4),
    )


def batch_of(image_sizes: list[tuple[int, int]], original_sizes: list[tuple[int, int]]) -> Batch:
    images = torch.zeros(len(image_sizes), 3, 32, 32, dtype=torch.uint8)
    return Batch(images, [], image_sizes, list(range(len(image_sizes))), original_sizes, [0] * len(image_sizes))


class Replay(nn.Module):
    """A network that gives recorded predictions; masks come from `mask_logits(image_index, location_index)`."""

    def __init__(self, predictions: Predictions, mask_logits: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.predictions = predictions
        self.mask_logits = mask_logits

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Predictions:
        return self.predictions

    def predict_masks(
        self,
        predictions: Predictions,
        image_index: Int64[Tensor, " N"],
        location_index: Int64[Tensor, " N"],
        num_per_image: list[int],
    ) -> Float[Tensor, "N h w"]:
        return self.mask_logits(image_index, location_index)


def decode(masks: list[dict]) -> np.ndarray:
    return np.stack([coco_mask.decode(mask) for mask in masks])


def golden_network(arrays: dict[str, np.ndarray]) -> tuple[Replay, Batch, dict]:
    """The recorded raw heads as a network, its two images and the recorded settings."""
    level_sizes = [(int(height), int(width)) for height, width in arrays["level_hw"]]
    locations, level_index, strides = pyramid_locations(level_sizes, arrays["strides"].tolist())
    predictions = Predictions(
        torch.from_numpy(arrays["logits"]),
        torch.from_numpy(arrays["reg"]),
        torch.from_numpy(arrays["ctr"])[..., 0],
        locations,
        level_index,
        strides,
        [],
        torch.from_numpy(arrays["mask_feats"]),
    )
    params = torch.from_numpy(arrays["params_f16"]).float()
    head = MaskHead(feature_channels=arrays["mask_feats"].shape[1], channels=8, num_layers=3)

    def mask_logits(image_index: Tensor, location_index: Tensor) -> Tensor:
        return head(
            predictions.mask_features,
            params[image_index, location_index],
            image_index,
            locations[location_index],
            COORDINATE_SCALES[level_index[location_index]],
        )

    sizes = [[(int(height), int(width)) for height, width in arrays[f"{kind}_sizes"]] for kind in ("image", "output")]
    height, width = arrays["padded_size"].tolist()
    images = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    settings = {
        "score_threshold": float(arrays["pre_nms_thresh"]),
        "max_candidates": int(arrays["pre_nms_topk"]),
        "nms_threshold": float(arrays["nms_thresh"]),
        "max_detections": int(arrays["post_nms_topk"]),
    }
    return Replay(predictions, mask_logits), Batch(images, [], sizes[0], [0, 1], sizes[1], [0, 0]), settings
