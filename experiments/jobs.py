"""The trials of some studies as jobs with a key: which still have to run, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.config import Config
from core.files.imagenet_weights import with_weights
from core.record import Record, trial_key
from experiments.check import check_folder
from experiments.planning.data_facts import KnownData
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study, Trial


@dataclass(frozen=True)
class Job:
    """A trial with its key."""

    key: str
    trial: Trial
    data_digest: str
    provenance: Provenance
    workers: int = 1  # processes that train it together


def list_jobs(study: Study, provenance: Provenance, workers: int = 1, data: KnownData | None = None) -> list[Job]:
    """Every trial of a study, each trained by so many workers, with its key.

    Calls with the same `data` read a data set once.

    Raises:
        ValueError: if the data of a trial is missing, or a file of it is no valid annotation file.
    """
    data = data or KnownData()
    digests: dict[tuple[str | None, ...], str] = {}  # by data set, initial weights and file of masks
    jobs = []
    for trial in study.trials:
        config = trial.config
        place = config.data.model_dump_json(), config.model.backbone.weights, config.supervision.mask_file
        if place not in digests:
            check_folder(config)
            digest = with_weights(data.facts(config.data).digest, config.model.backbone.weights)
            digests[place] = _with_masks(digest, config)
        digest = digests[place]
        key = trial_key(config, trial.seed, data_digest=digest, code=provenance.code, workers=workers)
        jobs.append(Job(key, trial, digest, provenance, workers))
    return jobs


def _with_masks(digest: str, config: Config) -> str:
    """The digest of the data combined with the file of masks that the config names, if it names one."""
    if config.supervision.mask_file is None:
        return digest
    from core.pseudo_masks.mask_file import read_mask_file, with_masks  # loads torch, which takes seconds

    return with_masks(digest, read_mask_file(config).fingerprint)


def waiting(jobs: Sequence[Job], store: Store, *, fresh: bool = False) -> list[Job]:
    """The jobs that are not finished, or all if `fresh`; each key once."""
    by_key: dict[str, Job] = {}
    for job in jobs:
        by_key.setdefault(job.key, job)
    return [job for job in by_key.values() if fresh or not store.is_finished(job.key)]


def longest_first(jobs: Sequence[Job]) -> list[Job]:
    """The jobs in their order, but those of Mask R-CNN first: it takes two to three times as long.

    Started last, it would still run when all others have ended.
    """
    return sorted(jobs, key=lambda job: job.trial.config.model.architecture != "mask_rcnn")


def collect(jobs: Sequence[Job], store: Store) -> dict[str, Record]:
    """Records of the finished and the failed trials, by key."""
    records = {job.key: store.finished(job.key) or store.failed(job.key) for job in jobs}
    return {key: record for key, record in records.items() if record is not None}
