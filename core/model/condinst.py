"""CondInst, the network of both CondInst and BoxInst: raw predictions of images, and masks at chosen locations."""

from typing import Literal

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from core.geometry import pyramid_locations
from core.model.bifpn import BiFeaturePyramid
from core.model.controller import Controller
from core.model.fcos_head import FcosHead
from core.model.fpn import FeaturePyramid
from core.model.mask_branch import MaskBranch
from core.model.mask_head import MaskHead
from core.model.normalization import normalize_images
from core.model.semantic_head import SemanticHead
from core.structures import Predictions


class CondInst(nn.Module):
    """FCOS, a mask branch, and a mask head per instance (arXiv:2003.05664), without targets and losses.

    `pixel_mean` and `pixel_std` are in `channel_order`, on the scale 0..255; `strides` and `coordinate_scales` (input
    pixels) are per pyramid level. Only the auxiliary loss uses `semantic_head`.
    """

    def __init__(
        self,
        *,
        backbone: nn.Module,
        pyramid: FeaturePyramid | BiFeaturePyramid,
        head: FcosHead,
        mask_branch: MaskBranch,
        controller: Controller,
        mask_head: MaskHead,
        semantic_head: SemanticHead | None,
        strides: tuple[int, ...],
        coordinate_scales: tuple[int, ...],
        channel_order: Literal["RGB", "BGR"],
        pixel_mean: tuple[float, float, float],
        pixel_std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = pyramid
        self.head = head
        self.mask_branch = mask_branch
        self.controller = controller
        self.mask_head = mask_head
        self.semantic_head = semantic_head
        self.strides = list(strides)
        self.channel_order = channel_order
        # Settings, not weights: they move with the device but are not part of the checkpoint.
        self.register_buffer("coordinate_scales", torch.tensor(coordinate_scales).float(), persistent=False)
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).reshape(3, 1, 1), persistent=False)

    def forward(self, images: UInt8[Tensor, "B 3 H W"], image_sizes: list[tuple[int, int]]) -> Predictions:
        """Predict at every location of RGB images padded to multiples of 32; `image_sizes` are the unpadded sizes.

        Raises:
            ValueError: if the images are not padded to multiples of 32.
        """
        levels = self.pyramid(self.backbone(self.normalize(images, image_sizes)))
        class_logits, ltrb, centerness_logits, box_tower = self.head(levels)
        sizes = [tuple(level.shape[2:]) for level in levels]
        locations, level_index, strides = pyramid_locations(sizes, self.strides, images.device)
        return Predictions(
            class_logits=class_logits,
            ltrb=ltrb,
            centerness_logits=centerness_logits,
            locations=locations,
            level_index=level_index,
            strides=strides,
            box_tower=box_tower,
            mask_features=self.mask_branch(levels),
            semantic_logits=None if self.semantic_head is None else self.semantic_head(levels[0]),
        )

    def predict_masks(
        self,
        predictions: Predictions,
        image_index: Int64[Tensor, " N"],
        location_index: Int64[Tensor, " N"],
        num_per_image: list[int] | None = None,
    ) -> Float[Tensor, "N h w"]:
        """Mask logits of the instances at these locations, on the stride-4 grid of the padded images.

        `num_per_image` as in `MaskHead.forward`.
        """
        return self.mask_head(
            predictions.mask_features,
            self.controller(predictions.box_tower, image_index, location_index),
            image_index,
            predictions.locations[location_index],
            self.coordinate_scales[predictions.level_index[location_index]],
            num_per_image,
        )

    def normalize(
        self, images: UInt8[Tensor, "B 3 H W"], image_sizes: list[tuple[int, int]]
    ) -> Float[Tensor, "B 3 H W"]:
        """Normalize images for the backbone (see `normalize_images`)."""
        return normalize_images(
            images, image_sizes, channel_order=self.channel_order, mean=self.pixel_mean, std=self.pixel_std
        )
