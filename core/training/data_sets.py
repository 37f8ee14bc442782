"""The training and the validation set of a config, checked before anything is trained."""

from core.config import Config
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset, build_training_set, build_validation_set
from core.training.preconditions import check_same_categories, check_something_to_learn


def build_data_sets(
    config: Config, seed: int, training_file: AnnotationFile, validation_file: AnnotationFile
) -> tuple[CocoDataset, CocoDataset]:
    """Build the training and the validation set, and check that both fit the config.

    Raises:
        ValueError: if the data is invalid, or lacks annotations that the config needs.
    """
    semantic = config.model.semantic_head
    training_set = build_training_set(training_file, config.data, config.supervision, seed, semantic_labels=semantic)
    validation_set = build_validation_set(validation_file, config.data)
    check_same_categories(training_set, validation_set)
    check_something_to_learn(training_set, config)
    validation_file.check_for_evaluation()  # fail now, not after the training
    return training_set, validation_set
