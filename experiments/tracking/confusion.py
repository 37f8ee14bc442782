"""Which annotated instances two arms find on the same validation images: both, only one, or neither."""

from collections.abc import Sequence
from typing import Any

from core.record import Record
from experiments.jobs import Job
from experiments.pictures import MIN_SCORE
from experiments.store import Store
from experiments.study import Study

MIN_SCORES = (0.0, MIN_SCORE)  # all detections that are evaluated, and those that the pictures show

Found = dict[int, float | None]  # from `found_annotations`: score by annotation, None if not found


def count_found(arm: Found, reference: Found, min_score: float) -> dict[str, int]:
    """A 2x2 table of instances: found by the arm or not, by the reference arm or not, at `min_score` or more."""
    pairs = [
        tuple(score is not None and score >= min_score for score in (arm[place], reference[place])) for place in arm
    ]
    return {
        "found_by_both": pairs.count((True, True)),
        "found_by_arm_only": pairs.count((True, False)),
        "found_by_reference_only": pairs.count((False, True)),
        "found_by_neither": pairs.count((False, False)),
    }


def confusion(study: Study, jobs: Sequence[Job], records: dict[str, Record], store: Store) -> list[dict[str, Any]]:
    """One row per arm (except the reference), seed and minimum score, for seeds of which both trials finished.

    Found means same class and mask IoU of at least 0.5. Arms evaluated on other annotations than the reference arm
    have no row; neither has a study without a reference arm.
    """
    found = {
        (job.trial.arm, job.trial.seed): store.found(job.key)
        for job in jobs
        if job.key in records and records[job.key].status == "ok"
    }
    rows = []
    for (arm, seed), of_arm in found.items():
        of_reference = found.get((study.reference_arm, seed))
        if arm == study.reference_arm or of_reference is None or of_arm.keys() != of_reference.keys():
            continue
        for min_score in MIN_SCORES:
            row = {"arm": arm, "reference": study.reference_arm, "seed": seed, "min_score": min_score}
            rows.append(row | {"instances": len(of_arm)} | count_found(of_arm, of_reference, min_score))
    return rows
