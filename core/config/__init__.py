"""All settings of a trial, frozen and validated; a recipe or a study states only what differs from these defaults.

The defaults are AdelaiDet's BoxInst R-50 1x on COCO unless the comment says otherwise. "ours" marks settings that this
project adds, for small data on a CPU. Derived values are properties.
"""

from pydantic import model_validator

from core.config.data import DataConfig, MaskFile, SupervisionConfig
from core.config.learning import AssignmentConfig, InferenceConfig, TrainingConfig
from core.config.loss import LossConfig, terms_that_learn_from
from core.config.model import BackboneConfig, ModelConfig
from core.config.names import Name
from core.config.values import Count, Fraction, Frozen, NonNegative, Positive

__all__ = [
    "AssignmentConfig",
    "BackboneConfig",
    "Config",
    "Count",
    "DataConfig",
    "Fraction",
    "Frozen",
    "InferenceConfig",
    "LossConfig",
    "MaskFile",
    "ModelConfig",
    "NonNegative",
    "Positive",
    "SupervisionConfig",
    "TrainingConfig",
]


class Config(Frozen):
    name: Name = "coco_r50_1x"  # the recipe
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
                "supervision.boxes_first needs a loss term that learns from boxes, one of "
                f"{', '.join(terms_that_learn_from('boxes'))}"
            )
        return self

    @model_validator(mode="after")
    def _semantic_head_has_masks(self) -> "Config":
        if self.model.semantic_head and not self.supervision.mask_ratio and not self.supervision.pseudo_masks:
            raise ValueError(
                "model.semantic_head learns from masks, but supervision.mask_ratio is 0: boxes do not show where a "
                "class ends; set mask_ratio or pseudo_masks"
            )
        return self

    @model_validator(mode="after")
    def _ema_teacher_has_a_term(self) -> "Config":
        if bool(self.loss.ema_masks) != bool(self.supervision.ema_teacher):
            raise ValueError(
                f"loss.ema_masks is {self.loss.ema_masks:g} and supervision.ema_teacher is "
                f"{'set' if self.supervision.ema_teacher else 'null'}, expected a weight and a teacher, or neither"
            )
        return self

    @model_validator(mode="after")
    def _mask_rcnn_has_what_it_needs(self) -> "Config":
        if self.model.architecture != "mask_rcnn":
            return self
        if self.supervision.pseudo_masks == "teacher":
            raise ValueError(
                "supervision.pseudo_masks is teacher, but model.architecture is mask_rcnn: a teacher's masks are those "
                "of its locations, which only CondInst has; expected grabcut, a file or null"
            )
        if self.supervision.ema_teacher:
            raise ValueError(
                "supervision.ema_teacher is set, but model.architecture is mask_rcnn: a teacher's masks are those of "
                "its locations, which only CondInst has; expected null"
            )
        if self.model.semantic_head:
            raise ValueError("model.semantic_head is true, but model.architecture is mask_rcnn, which has none")
        return self

    @model_validator(mode="after")
    def _one_size_range_per_level(self) -> "Config":
        if len(self.assignment.size_boundaries) != len(self.model.levels) - 1:
            raise ValueError(
                f"assignment.size_boundaries has {len(self.assignment.size_boundaries)} entries, "
                f"expected {len(self.model.levels) - 1}: one between neighbors in model.levels {self.model.levels}"
            )
        return self
