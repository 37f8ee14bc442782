"""Every setting of a trial, frozen and validated; a recipe or a study names only what differs from these defaults.

The defaults are AdelaiDet's BoxInst R-50 1x on COCO unless the comment says otherwise; "ours" marks settings that
exist for small data on a CPU and have no source but this project. Derived values are properties.
"""

import re
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("expected an odd number: a neighborhood has a middle")
    return value


def _backbone_name(name: str) -> str:
    if not re.fullmatch(r"resnet(18|34|50|101)|timm:.+", name):
        raise ValueError("expected resnet18, resnet34, resnet50, resnet101 or timm:<name>")
    return name


def _increasing(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError("expected each value above the one before")
    return values


def _low_to_high(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("expected the lower limit first")
    return limits


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DataConfig(Frozen):
    root: str = "datasets/coco"  # a COCO-format folder: the photos and the annotation files
    train_images: str = "train2017"  # folder of the training photos, under root
    train_annotations: str = "annotations/instances_train2017.json"
    val_images: str = "val2017"
    val_annotations: str = "annotations/instances_val2017.json"
    # training picks one; px
    short_sides: Annotated[tuple[Count, ...], Field(min_length=1)] = (640, 672, 704, 736, 768, 800)
    long_side_max: Count = 1333  # px
    val_short_side: Count = 800  # px
    flip_probability: Fraction = 0.5  # horizontal
    color_jitter: Fraction = 0.0  # ours: brightness, contrast and saturation, relative
    # ours: zoom by a factor from this range, crop or pad to size
    scale_range: Annotated[tuple[Positive, Positive], AfterValidator(_low_to_high)] | None = None
    ignored_bottom_rows: Annotated[int, Field(ge=0)] = 10  # original px; COCO's annotations miss the bottom edge
    drop_images_without_boxes: bool = True  # AdelaiDet filters them


class SupervisionConfig(Frozen):
    """Which training images are used, and which of their annotations keep their mask; every one keeps its box.

    For one seed, subsets are nested, and an image with masks is among the images used. All but `mask_ratio` is ours.
    """

    mask_ratio: Fraction = 0.0  # share of training images with masks
    image_ratio: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of training images used at all
    mask_categories: tuple[str, ...] | None = None  # names of those whose instances have masks (section 3.6); None: all
    # share of the schedule that sees boxes only; after it only the images with masks are used
    boxes_first: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # masks for the instances that have none: grabcut cuts them out by color (OpenCV), teacher by a network that is
    # first trained by the same config on what masks and boxes there are
    pseudo_masks: Literal["grabcut", "teacher"] | None = None

    @model_validator(mode="after")
    def _subsets_fit(self) -> "SupervisionConfig":
        if self.mask_ratio > self.image_ratio:
            raise ValueError(
                f"mask_ratio is {self.mask_ratio:g}, expected at most image_ratio {self.image_ratio:g}: "
                "both are shares of all training images"
            )
        if self.boxes_first and not self.mask_ratio:
            raise ValueError("boxes_first needs images with masks for what follows it, but mask_ratio is 0")
        if self.pseudo_masks and self.boxes_first:
            raise ValueError("pseudo_masks leaves no instance without a mask: boxes_first has no meaning beside it")
        return self


class BackboneConfig(Frozen):
    # resnet18 | 34 | 50 | 101, or `timm:<name>` for a timm features_only backbone
    name: Annotated[str, AfterValidator(_backbone_name)] = "resnet50"
    # a file (torchvision's, timm's, detectron2's .pkl) or `package:<name>`, see core/model/pretrained.py; None: random
    weights: str | None = None
    norm: Literal["frozen", "trained"] = "frozen"  # batch norm with fixed or with trained statistics
    frozen_stages: Annotated[int, Field(ge=0, le=5)] = 2  # 1: stem, 2: stem and res2, ...
    stride_in_1x1: bool = True  # MSRA layout of the bottleneck; torchvision strides in the 3x3
    # 1: every bottleneck of res3, res4 and res5 has a deformable 3x3 convolution, 3: every third from their first on
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
    # mask_rcnn: torchvision's heads on the same backbone, a baseline that needs masks; of the settings below it
    # takes levels, pyramid, bifpn_repeats and pyramid_channels
    architecture: Literal["condinst", "mask_rcnn"] = "condinst"
    backbone: BackboneConfig = BackboneConfig()
    levels: tuple[Literal[3, 4, 5, 6, 7], ...] = (3, 4, 5, 6, 7)
    pyramid: Literal["fpn", "bifpn"] = "fpn"
    bifpn_repeats: Count = 6  # passes down and up
    pyramid_channels: Count = 256  # AdelaiDet's BiFPN has 160
    head_convs: Annotated[int, Field(ge=0)] = 4  # 3x3 convolutions in each tower of the FCOS head
    head_groups: Count = 32  # group norm of the towers
    class_prior: Annotated[float, Field(gt=0, lt=1)] = 0.01  # initial class probability
    mask_branch_channels: Count = 128
    mask_branch_convs: Annotated[int, Field(ge=0)] = 4
    mask_feature_channels: Count = 16  # AdelaiDet's BoxInst; its CondInst has 8
    mask_head_channels: Count = 8
    mask_head_layers: Annotated[int, Field(ge=1)] = 3
    semantic_head: bool = False  # classes of the cells of P3, for the auxiliary loss of AdelaiDet's `sem` models
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
            raise ValueError("relative_coordinate_scales: expected one scale for each level")
        return self

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> "ModelConfig":
        if self.pyramid_channels % self.head_groups:
            raise ValueError(
                f"head_groups is {self.head_groups}, expected a divisor of pyramid_channels {self.pyramid_channels}"
            )
        return self


class AssignmentConfig(Frozen):
    # px; level i takes max(ltrb) between boundary i-1 and i
    size_boundaries: Annotated[tuple[Positive, ...], AfterValidator(_increasing)] = (64, 128, 256, 512)
    center_radius: NonNegative = 1.5  # strides around the center; 0 takes the whole box
    center: Literal["box", "rasterized_box", "mask"] = "box"  # AdelaiDet: rasterized_box for BoxInst, mask for CondInst
    selection: Literal["best_per_instance", "random"] = "best_per_instance"  # CondInst: random
    max_masks: Count = 64  # per image for best_per_instance, per batch for random (CondInst: 500)


class LossConfig(Frozen):
    """Weights of the mask loss's terms; a term of weight 0 is not computed.

    `dice` and the terms of the redesigned loss apply to instances with a mask, the others to those with a box only.
    """

    dice: NonNegative = 1.0  # against the true mask (CondInst)
    mask_projection: NonNegative = 0.0  # the redesigned loss under full supervision: projections of the true mask ...
    mask_pairwise: NonNegative = 0.0  # ... and both kinds of edges, same and different label (BoxInst, equation 5)
    projection: NonNegative = 1.0
    pairwise: NonNegative = 1.0
    semantic: NonNegative = 1.0  # where the network has a semantic head, of images all of whose instances have a mask
    box_mask: NonNegative = 0.0  # Dice against the box as if it were the mask: the naive baseline
    color_threshold: Fraction = 0.3  # tau; AdelaiDet 0.3, the paper's table is best at 0.1
    color_temperature: Positive = 2.0  # theta: similarity = exp(-|lab distance| / theta)
    neighborhood_size: Annotated[int, Field(ge=3), AfterValidator(_odd)] = 3
    neighborhood_dilation: Count = 2  # mask-grid cells
    pairwise_warmup: NonNegative = 10_000 / 90_000  # share of the schedule over which the weight rises from 0 to 1
    # whose locations the mask terms of data parallel workers are averaged over; AdelaiDet: those of each worker
    mask_normalizer: Literal["all_workers", "each_worker"] = "all_workers"
    focal_alpha: Fraction = 0.25
    focal_gamma: NonNegative = 2.0

    @model_validator(mode="after")
    def _some_mask_term(self) -> "LossConfig":
        if not self.terms_of_masks and not self.terms_of_boxes:
            raise ValueError(
                "dice, mask_projection, mask_pairwise, projection, pairwise and box_mask are all 0, "
                "expected a mask term above 0"
            )
        return self

    @property
    def terms_of_masks(self) -> bool:
        """Whether some term learns from instances with a mask."""
        return bool(self.dice or self.mask_projection or self.mask_pairwise)

    @property
    def terms_of_boxes(self) -> bool:
        """Whether some term learns from instances with a box only."""
        return bool(self.projection or self.pairwise or self.box_mask)


class TrainingConfig(Frozen):
    steps: Count | None = 90_000  # optimizer steps; None: from epochs
    epochs: Count | None = None
    batch_size: Count = 16  # images that a worker holds at once
    accumulation: Count = 1  # batches whose gradients are averaged in one step; each normalizes its own losses
    # images a step for which learning_rate, steps and warmup_steps are stated: they are scaled to the effective batch,
    # batch_size x accumulation x workers; None: they are taken as they are
    schedule_batch_size: Count | None = None
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.01
    momentum: Fraction = 0.9  # sgd only
    weight_decay: NonNegative = 1e-4  # not on normalization layers
    schedule: Literal["step", "one_cycle"] = "step"
    warmup_steps: Annotated[int, Field(ge=0)] = 1000  # linear from learning_rate * 0.001
    # step: shares of the schedule at which the rate falls tenfold
    drops: Annotated[tuple[Fraction, ...], AfterValidator(_increasing)] = (60 / 90, 80 / 90)
    warmup_share: Fraction = 0.15  # ours, one_cycle: share of the schedule over which the rate rises
    clip_gradient_norm: Positive | None = None  # AdelaiDet does not clip
    precision: Literal["float32", "bfloat16"] = "float32"  # bfloat16: autocast of the network, losses in float32
    evaluate_every: Count | None = None  # epochs; None: only at the end

    @model_validator(mode="after")
    def _one_length(self) -> "TrainingConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"steps is {self.steps} and epochs is {self.epochs}, expected exactly one of them")
        return self


class InferenceConfig(Frozen):
    score_threshold: Fraction = 0.05  # on class probability * centerness
    max_candidates: Count = 1000  # (location, class) pairs per level before NMS
    nms_threshold: Fraction = 0.6
    max_detections: Count = 100
    batch_size: Count = 1


class Config(Frozen):
    name: str = "coco_r50_1x"  # the recipe
    data: DataConfig = DataConfig()
    supervision: SupervisionConfig = SupervisionConfig()
    model: ModelConfig = ModelConfig()
    assignment: AssignmentConfig = AssignmentConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    inference: InferenceConfig = InferenceConfig()

    @model_validator(mode="after")
    def _boxes_teach_first(self) -> "Config":
        if self.supervision.boxes_first and not self.loss.terms_of_boxes:
            raise ValueError(
                "supervision.boxes_first needs a loss term that learns from boxes: projection, pairwise or box_mask"
            )
        return self

    @model_validator(mode="after")
    def _semantic_head_has_masks(self) -> "Config":
        if self.model.semantic_head and not self.supervision.mask_ratio and not self.supervision.pseudo_masks:
            raise ValueError(
                "model.semantic_head learns from masks, but supervision.mask_ratio is 0: boxes say where a class ends "
                "no better than they say where an instance does"
            )
        return self

    @model_validator(mode="after")
    def _one_size_range_per_level(self) -> "Config":
        if len(self.assignment.size_boundaries) != len(self.model.levels) - 1:
            raise ValueError(
                f"assignment.size_boundaries has {len(self.assignment.size_boundaries)} entries, "
                f"expected {len(self.model.levels) - 1}: one between each two of model.levels {self.model.levels}"
            )
        return self
