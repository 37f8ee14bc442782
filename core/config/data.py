"""Settings of the data: its files, its augmentation, and which instances have a mask."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from core.config.values import Count, Fraction, Frozen, InsidePath, Positive, Whole, low_to_high


class DataConfig(Frozen):
    root: str = "datasets/coco"  # a COCO-format folder: the photos and the annotation files
    train_images: str = "train2017"  # folder of the training photos, under root
    train_annotations: str = "annotations/instances_train2017.json"
    val_images: str = "val2017"
    val_annotations: str = "annotations/instances_val2017.json"
    # px; training picks one at random
    short_sides: Annotated[tuple[Count, ...], Field(min_length=1)] = (640, 672, 704, 736, 768, 800)
    long_side_max: Count = 1333  # px
    val_short_side: Count = 800  # px
    flip_probability: Fraction = 0.5  # horizontal
    color_jitter: Fraction = 0.0  # ours: brightness, contrast and saturation, relative
    # ours: zoom by a random factor from this range, then crop or pad to size
    scale_range: Annotated[tuple[Positive, Positive], AfterValidator(low_to_high)] | None = None
    ignored_bottom_rows: Whole = 10  # px of the file; COCO's annotations miss the bottom edge
    drop_images_without_boxes: bool = True  # as AdelaiDet does
    # crowds (annotations with iscrowd or ignore 1) in training: AdelaiDet drops them, so that they are background;
    # ours: "ignore", neither object nor background
    crowds: Literal["background", "ignore"] = "background"


class MaskFile(Frozen):
    """Masks made elsewhere: a COCO file of masks by annotation id."""

    file: InsidePath  # relative to data.root, so that it belongs to the data set

    def __str__(self) -> str:
        return self.file


def _kind_of_pseudo_masks(value: Any) -> str | None:
    """The alternative of `PseudoMasks` that a value is meant for, so that an error speaks of that one alone."""
    if isinstance(value, dict | MaskFile):
        return IS_FILE
    return IS_METHOD if value in ("grabcut", "teacher") else None


IS_FILE, IS_METHOD = ALTERNATIVES = ("(file)", "(method)")  # in the places of pydantic's errors
PseudoMasks = Annotated[
    Annotated[Literal["grabcut", "teacher"], Tag(IS_METHOD)] | Annotated[MaskFile, Tag(IS_FILE)],
    Discriminator(
        _kind_of_pseudo_masks,
        custom_error_type="pseudo_masks",
        custom_error_message="expected grabcut, teacher, {file: masks.json} or null",
    ),
]


class EmaTeacher(Frozen):
    """The moving average of the network's weights as a teacher, which labels the boxes of each batch."""

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999  # of a step, once it has risen (core/pseudo_masks/ema_teacher)
    start: Annotated[float, Field(ge=0, lt=1)] = 0.3  # share of the schedule from which on it labels

    def first_step(self, steps: int) -> int:
        """The first of `steps` steps (from 0) that learns from its masks."""
        return round(self.start * steps)


class SupervisionConfig(Frozen):
    """Which training images are used, and which annotations keep their mask; all keep their box.

    With the same seed, subsets are nested, and images with masks are among the images used. All settings but
    `mask_ratio` are ours.
    """

    mask_ratio: Fraction = 0.0  # share of training images with masks
    image_ratio: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of training images used at all
    mask_categories: tuple[str, ...] | None = None  # classes whose instances have masks (section 3.6); None: all
    # share of the schedule that trains on boxes only; afterwards only the images with masks are used
    boxes_first: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # masks for the instances that have none: grabcut segments by color (OpenCV); teacher uses a network that is first
    # trained with the same config on the existing masks and boxes; {file: masks.json} has them (core/pseudo_masks)
    pseudo_masks: PseudoMasks | None = None
    # masks that the moving average of the network makes of the boxes while it trains, for the loss term `ema_masks`
    ema_teacher: EmaTeacher | None = None

    @property
    def mask_file(self) -> str | None:
        """The file of the pseudo masks, relative to `data.root`; None if there is none."""
        return self.pseudo_masks.file if isinstance(self.pseudo_masks, MaskFile) else None

    @property
    def makes_masks(self) -> bool:
        """Whether a training begins by making masks, one for every instance that has none."""
        return self.pseudo_masks is not None and self.mask_file is None

    @model_validator(mode="after")
    def _subsets_fit(self) -> "SupervisionConfig":
        if self.mask_ratio > self.image_ratio:
            raise ValueError(
                f"mask_ratio is {self.mask_ratio:g}, expected at most image_ratio {self.image_ratio:g}: "
                "both are shares of all training images"
            )
        if self.boxes_first and not self.mask_ratio:
            raise ValueError("boxes_first needs images with masks for its second phase, but mask_ratio is 0")
        if self.pseudo_masks and self.boxes_first:
            raise ValueError("pseudo_masks gives instances of all images a mask; expected boxes_first 0 beside it")
        if self.makes_masks and self.ema_teacher:
            raise ValueError(
                f"pseudo_masks is {self.pseudo_masks}, which leaves ema_teacher no instance without a mask; expected "
                "one of them"
            )
        return self
