"""The training and the validation set of a config, checked before anything is trained."""

from core.config import Config
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset, build_training_set, build_validation_set
from core.pseudo_masks.mask_file import add_masks, read_mask_file
from core.training.preconditions import check_same_categories, check_something_to_learn


def build_data_sets(
    config: Config,
    seed: int,
    training_file: AnnotationFile,
    validation_file: AnnotationFile,
    mask_file: AnnotationFile | None = None,
) -> tuple[CocoDataset, CocoDataset]:
    """Build the training and the validation set, and check that both fit the config.

    `mask_file` is that of `read_mask_file`, which is called where it is not given.

    Raises:
        ValueError: if the data is invalid, or lacks annotations that the config needs.
    """
    training_set = build_masked_training_set(config, seed, training_file, mask_file)
    validation_set = build_validation_set(validation_file, config.data)
    check_same_categories(training_set, validation_set)
    check_something_to_learn(training_set, config)
    validation_file.check_for_evaluation()  # fail now, not after the training
    return training_set, validation_set


def build_masked_training_set(
    config: Config, seed: int, training_file: AnnotationFile, mask_file: AnnotationFile | None = None
) -> CocoDataset:
    """The training set with the masks of `supervision.pseudo_masks`, if that is a file; arguments as above."""
    semantic = config.model.semantic_head
    training_set = build_training_set(training_file, config.data, config.supervision, seed, semantic_labels=semantic)
    mask_file = mask_file or read_mask_file(config)
    return training_set if mask_file is None else add_masks(training_set, training_file, mask_file)
