"""Rows for the trials of optional arms that were left out: no training, a reason in place of results."""

from collections.abc import Sequence

from core.record import Record, trial_key
from experiments.jobs import Job
from experiments.study import Study
from experiments.trial import describe_trial


def left_out_records(study: Study, jobs: Sequence[Job]) -> list[Record]:
    """The records of these trials, as of trials that failed; `jobs` are the others of the study.

    The missing file is no part of their data digest, nor of their key, so the key is none of a trial that runs.
    """
    if not study.left_out:
        return []
    beside = next((job for job in jobs if job.trial.config.supervision.mask_file is None), jobs[0])
    made_from = {"data_digest": beside.data_digest, "workers": beside.workers}
    records = []
    for trial, reason in study.left_out:
        key = trial_key(trial.config, trial.seed, code=beside.provenance.code, **made_from)
        described = describe_trial(trial, key=key, provenance=beside.provenance, **made_from)
        records.append(described.changed(study=study.name, arm=trial.arm, status="failed", reason=reason))
    return records
