"""Build the network of a config from its parts; the only file that knows both architectures and the config."""

from core.config import ModelConfig
from core.model.backbone import build_backbone
from core.model.bifpn import BiFeaturePyramid
from core.model.condinst import CondInst
from core.model.controller import Controller
from core.model.fcos_head import FcosHead
from core.model.fpn import FeaturePyramid
from core.model.mask_branch import MaskBranch
from core.model.mask_head import MaskHead
from core.model.mask_rcnn import MaskRcnn
from core.model.semantic_head import SemanticHead


def build_model(model: ModelConfig, num_classes: int) -> CondInst | MaskRcnn:
    """Build a network: backbone weights are loaded, the rest is initialized with torch's global generator."""
    settings = model.backbone
    backbone = build_backbone(
        name=settings.name,
        weights=settings.weights,
        norm=settings.norm,
        frozen_stages=settings.frozen_stages,
        stride_in_1x1=settings.stride_in_1x1,
        deformable_interval=settings.deformable_interval,
    )
    sizes = {
        "in_channels": backbone.channels,
        "channels": model.pyramid_channels,
        "num_levels": len(model.levels),
    }
    if model.pyramid == "bifpn":
        pyramid = BiFeaturePyramid(**sizes, repeats=model.bifpn_repeats)
    else:
        pyramid = FeaturePyramid(**sizes)
    if model.architecture == "mask_rcnn":
        return MaskRcnn(
            backbone=backbone,
            pyramid=pyramid,
            num_classes=num_classes,
            channels=model.pyramid_channels,
            strides=model.strides,
            channel_order=settings.channel_order,
            pixel_mean=settings.pixel_mean,
            pixel_std=settings.pixel_std,
        )
    mask_head = MaskHead(
        feature_channels=model.mask_feature_channels,
        channels=model.mask_head_channels,
        num_layers=model.mask_head_layers,
    )
    semantic_head = None
    if model.semantic_head:
        semantic_head = SemanticHead(
            in_channels=model.pyramid_channels,
            channels=model.mask_branch_channels,
            num_classes=num_classes,
            class_prior=model.class_prior,
        )
    return CondInst(
        backbone=backbone,
        pyramid=pyramid,
        head=FcosHead(
            channels=model.pyramid_channels,
            num_classes=num_classes,
            num_levels=len(model.levels),
            num_convs=model.head_convs,
            num_groups=model.head_groups,
            class_prior=model.class_prior,
        ),
        mask_branch=MaskBranch(
            in_channels=model.pyramid_channels,
            channels=model.mask_branch_channels,
            num_convs=model.mask_branch_convs,
            out_channels=model.mask_feature_channels,
        ),
        controller=Controller(channels=model.pyramid_channels, num_dynamic_params=mask_head.num_dynamic_params),
        mask_head=mask_head,
        semantic_head=semantic_head,
        strides=model.strides,
        coordinate_scales=model.relative_coordinate_scales,
        channel_order=settings.channel_order,
        pixel_mean=settings.pixel_mean,
        pixel_std=settings.pixel_std,
    )
