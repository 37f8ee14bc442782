"""Jobs run one by one in the process of the test, those alone that wait."""

from core.record import Record
from experiments.jobs import Job, waiting
from experiments.params import Resources
from experiments.store import Store
from experiments.sweep import run_one_by_one


def run_waiting(jobs: list[Job], store: Store, *observers) -> None:
    run_one_by_one(waiting(jobs, store), store, Resources(), observers, progress=False)


def records_of(jobs: list[Job], store: Store) -> dict[str, Record]:
    return {job.key: store.finished(job.key) or store.failed(job.key) for job in jobs}
