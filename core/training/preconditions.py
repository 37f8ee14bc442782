"""Checks before a training starts: whether the data has the annotations that the config needs."""

from core.config import Config
from core.config.loss import terms_that_learn_from
from core.datasets.coco import CocoDataset


def check_same_categories(training_set: CocoDataset, validation_set: CocoDataset) -> None:
    """Raise a ValueError unless both files have the same classes in the same order."""
    if training_set.categories != validation_set.categories:
        raise ValueError(
            f"{validation_set.annotation_path}: categories are {validation_set.categories}, "
            f"expected those of {training_set.annotation_path}: {training_set.categories}"
        )


def check_something_to_learn(training_set: CocoDataset, config: Config) -> None:
    """Check that the mask loss has terms for the instances in the data.

    Raises:
        ValueError: if no instance has a mask and no term learns from boxes, or if instances have masks and no term
            learns from masks; if the config needs masks (mask_ratio, semantic head) and there are none.
    """
    shares = f"supervision.mask_ratio is {config.supervision.mask_ratio:g}"
    has_masks = training_set.has_masks or config.supervision.makes_masks
    if config.model.semantic_head and not has_masks:
        raise ValueError(
            f"{training_set.annotation_path}: no instance with a mask ({shares}), but model.semantic_head learns from "
            "images in which every instance has one"
        )
    if config.supervision.mask_ratio and not has_masks:
        raise ValueError(
            f"{training_set.annotation_path}: {shares}, but no instance in the selected images has a usable mask"
        )
    if not config.loss.terms_of_boxes and not has_masks:
        raise ValueError(
            f"{training_set.annotation_path}: no instance with a mask ({shares}), but the mask loss has only terms "
            f"that need one: {', '.join(terms_that_learn_from('masks'))}"
        )
    if not config.loss.terms_of_masks and has_masks:
        raise ValueError(
            f"{training_set.annotation_path}: some instances have masks ({shares}), but the mask loss has only terms "
            f"for instances without: {', '.join(terms_that_learn_from('boxes'))}"
        )
