"""What the data of a sweep's trials must hold, before the first of them trains."""

from collections.abc import Sequence

from core.datasets.coco import CocoDataset, build_validation_set, read_training_file, read_validation_file
from core.training.data_sets import build_masked_training_set
from core.training.preconditions import check_same_categories, check_something_to_learn
from experiments.jobs import Job

WAY_OUT = "remove the arm from the study, or accept its failure: allow_holes in params.yaml"


def check_data(jobs: Sequence[Job], *, allow_holes: bool = False) -> None:
    """Load the data sets of all jobs once, so that an invalid annotation stops the sweep before it trains anything.

    Raises:
        ValueError: names the file and the annotation.
    """
    seen = set()
    for job in jobs:
        config = job.trial.config
        content = "".join(part.model_dump_json() for part in (config.data, config.supervision, config.loss))
        if content not in seen:
            seen.add(content)
            validation_file = read_validation_file(config.data)
            validation_set = build_validation_set(validation_file, config.data)
            if unknown := set(config.supervision.mask_categories or ()) - set(validation_set.categories):
                if allow_holes:
                    continue  # the trial fails and says so
                raise ValueError(
                    f"{job.trial.study}: arm '{job.trial.arm}': supervision.mask_categories has unknown classes "
                    f"{sorted(unknown)}, expected some of {validation_set.categories}; correct them, or {WAY_OUT}"
                )
            validation_file.check_for_evaluation()
            training_set = build_masked_training_set(config, job.trial.seed, read_training_file(config.data))
            check_same_categories(training_set, validation_set)
            if not validation_set.has_masks:
                raise ValueError(
                    f"{validation_set.annotation_path}: no annotation has a mask; training works without, "
                    "but the studies need masks to report mask AP"
                )
            if not allow_holes:
                check_learnable(job, training_set)


def check_learnable(job: Job, training_set: CocoDataset) -> None:
    """Raise a ValueError that names the way out, for an arm that cannot learn from the training data."""
    try:
        check_something_to_learn(training_set, job.trial.config)
    except ValueError as error:
        raise ValueError(f"{job.trial.study}: arm '{job.trial.arm}': {error}; {WAY_OUT}") from error
