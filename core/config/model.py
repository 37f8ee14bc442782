"""Settings of the network: its backbone and its heads."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from core.config.values import Channels, Count, Frozen, Layers, Positive


def _backbone_name(name: str) -> str:
    if not re.fullmatch(r"resnet(18|34|50|101)|timm:.+", name):
        raise ValueError("expected resnet18, resnet34, resnet50, resnet101 or timm:<name>")
    return name


class BackboneConfig(Frozen):
    # resnet18 | 34 | 50 | 101, or `timm:<name>` for a timm features_only backbone
    name: Annotated[str, AfterValidator(_backbone_name)] = "resnet50"
    # a file (torchvision, timm, detectron2 .pkl) or `package:<name>`, see core/model/pretrained.py; None: random
    weights: str | None = None
    norm: Literal["frozen", "trained"] = "frozen"  # batch norm with fixed or trained statistics
    frozen_stages: Annotated[int, Field(ge=0, le=5)] = 2  # 1: stem, 2: stem and res2, ...
    stride_in_1x1: bool = True  # MSRA bottleneck; torchvision has the stride in the 3x3 convolution
    # 1: every bottleneck of res3, res4 and res5 has a deformable 3x3 convolution; 3: every third, starting at the first
    deformable_interval: Count | None = None
    channel_order: Literal["RGB", "BGR"] = "BGR"
    pixel_mean: tuple[float, float, float] = (103.53, 116.28, 123.675)  # in channel_order, 0..255
    pixel_std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _deformable_in_bottlenecks(self) -> "BackboneConfig":
        if self.deformable_interval is not None and self.name not in ("resnet50", "resnet101"):
            raise ValueError(f"deformable_interval needs resnet50 or resnet101, but name is {self.name}")
        return self


class ModelConfig(Frozen):
    # mask_rcnn: torchvision's heads on the same backbone; of the settings below it uses levels, pyramid, bifpn_repeats
    # and pyramid_channels, of the loss the mask terms, with its own in place of dice
    architecture: Literal["condinst", "mask_rcnn"] = "condinst"
    backbone: BackboneConfig = BackboneConfig()
    levels: tuple[Literal[3, 4, 5, 6, 7], ...] = (3, 4, 5, 6, 7)
    pyramid: Literal["fpn", "bifpn"] = "fpn"
    bifpn_repeats: Annotated[Layers, Field(ge=1)] = 6  # passes down and up
    pyramid_channels: Channels = 256  # AdelaiDet's BiFPN has 160
    head_convs: Layers = 4  # 3x3 convolutions in each tower of the FCOS head
    head_groups: Count = 32  # group norm of the towers
    class_prior: Annotated[float, Field(gt=0, lt=1)] = 0.01  # initial class probability
    mask_branch_channels: Channels = 128
    mask_branch_convs: Layers = 4
    mask_feature_channels: Channels = 16  # AdelaiDet's BoxInst; its CondInst has 8
    mask_head_channels: Channels = 8
    mask_head_layers: Annotated[Layers, Field(ge=1)] = 3
    semantic_head: bool = False  # predicts classes on P3 for the auxiliary loss of AdelaiDet's `sem` models
    relative_coordinate_scales: tuple[Count, ...] = (64, 128, 256, 512, 1024)  # px, per level of the pyramid

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(2**level for level in self.levels)

    @model_validator(mode="after")
    def _levels_are_consecutive(self) -> "ModelConfig":
        if self.levels != tuple(range(3, 3 + len(self.levels))):
            raise ValueError(f"levels are {self.levels}, expected consecutive levels from 3")
        if len(self.levels) < 3:
            raise ValueError(f"levels are {self.levels}, expected at least 3, 4, 5: the mask branch reads them")
        if len(self.relative_coordinate_scales) < len(self.levels):
            raise ValueError(
                f"relative_coordinate_scales has {len(self.relative_coordinate_scales)} entries, "
                f"expected at least {len(self.levels)}: one per level"
            )
        return self

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> "ModelConfig":
        if self.pyramid_channels % self.head_groups:
            raise ValueError(
                f"head_groups is {self.head_groups}, expected a divisor of pyramid_channels {self.pyramid_channels}"
            )
        return self
