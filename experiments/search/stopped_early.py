"""A trial that a search stopped early, since others did better: it has a record without results, and is no failure."""

from collections.abc import Sequence

from core.record import Record
from experiments.jobs import Job
from experiments.store import Store

REASON = "stopped early by the search"  # how the reason of its record begins; the status says `failed`, as any but `ok`


def stopped_early(job: Job, store: Store, described: Record, curves: Sequence[dict[str, float]]) -> Record:
    """Write the record of a job that was stopped after the last epoch of `curves`; `described` is it before it ran."""
    last = curves[-1]
    reason = f"{REASON} after epoch {last['epoch']:g} of {last['epochs']:g}"
    record = described.changed(status="failed", reason=reason, curves=list(curves), seconds=last["seconds"])
    store.write(record)
    return record


def is_stopped_early(record: Record | None) -> bool:
    return record is not None and record.status == "failed" and record.reason.startswith(REASON)
