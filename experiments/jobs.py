"""The trials of some studies as jobs with a key: which still have to run, in which order, and what forbids to start."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.datasets.coco import CocoDataset, build_validation_set, read_training_file, read_validation_file
from core.datasets.digest import data_digest
from core.files.imagenet_weights import with_weights
from core.pseudo_masks.mask_file import read_mask_file, with_masks
from core.record import Record, trial_key
from core.training.data_sets import build_masked_training_set
from core.training.preconditions import check_same_categories, check_something_to_learn
from experiments.check import check_folder
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study, Trial

WAY_OUT = "remove the arm from the study, or accept its failure: allow_holes in params.yaml"


@dataclass(frozen=True)
class Job:
    """A trial with its key."""

    key: str
    trial: Trial
    data_digest: str
    provenance: Provenance
    workers: int = 1  # processes that train it together


def list_jobs(study: Study, provenance: Provenance, workers: int = 1) -> list[Job]:
    """Every trial of a study, each trained by so many workers, with its key.

    Raises:
        ValueError: if the data of a trial is missing, or a file of it is no valid annotation file.
    """
    digests: dict[str, str] = {}
    fingerprints: dict[tuple[str, str | None], bytes | None] = {}  # of the files of masks
    jobs = []
    for trial in study.trials:
        data, masks = trial.config.data.model_dump_json(), trial.config.supervision.mask_file
        if (data, masks) not in fingerprints:
            check_folder(trial.config)
            mask_file = read_mask_file(trial.config)
            fingerprints[data, masks] = mask_file and mask_file.fingerprint
        if data not in digests:
            files = read_training_file(trial.config.data), read_validation_file(trial.config.data)
            digests[data] = data_digest(*files)
        digest = with_weights(digests[data], trial.config.model.backbone.weights)
        digest = with_masks(digest, fingerprints[data, masks])
        key = trial_key(trial.config, trial.seed, data_digest=digest, code=provenance.code, workers=workers)
        jobs.append(Job(key, trial, digest, provenance, workers))
    return jobs


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


def waiting(jobs: Sequence[Job], store: Store, *, fresh: bool = False) -> list[Job]:
    """The jobs that are not finished, or all if `fresh`; each key once."""
    by_key: dict[str, Job] = {}
    for job in jobs:
        by_key.setdefault(job.key, job)
    return [job for job in by_key.values() if fresh or store.finished(job.key) is None]


def longest_first(jobs: Sequence[Job]) -> list[Job]:
    """The jobs in their order, but those of Mask R-CNN first: it takes two to three times as long.

    Started last, it would still run when all others have ended.
    """
    return sorted(jobs, key=lambda job: job.trial.config.model.architecture != "mask_rcnn")


def collect(jobs: Sequence[Job], store: Store) -> dict[str, Record]:
    """Records of the finished and the failed trials, by key."""
    records = {job.key: store.finished(job.key) or store.failed(job.key) for job in jobs}
    return {key: record for key, record in records.items() if record is not None}
