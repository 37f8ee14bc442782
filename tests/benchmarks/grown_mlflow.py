"""The MLflow database of a grown project, without logging thousands of trials, which would take half an hour.

As a script, in such a project: `python grown_mlflow.py COUNT` logs the first trial as a sweep does, and copies the rows
of its run for the next ones, with their names, keys and seconds. Prints the ids of all COUNT runs as JSON.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

DATABASE = "mlflow.db"
RUN = "run_uuid"  # the column of each table that names the run


def fill_mlflow(folder: Path, count: int, environment: dict[str, str]) -> set[str]:
    """Fill the database of the project in `folder` with its first `count` trials; returns the ids of their runs."""
    command = [sys.executable, __file__, str(count)]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return set(json.loads(done.stdout))


def finished_runs(folder: Path) -> set[str]:
    """The ids of the finished runs of trials in the database of a project that nobody has deleted."""
    query = (
        "SELECT run_uuid FROM runs JOIN tags USING (run_uuid) "
        "WHERE tags.key = 'trial_key' AND status = 'FINISHED' AND lifecycle_stage = 'active'"
    )
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        return {run for (run,) in database.execute(query)}


def fill(count: int) -> list[str]:
    """Log the first trial of the project in the current folder, and copy its run for the next ones."""
    from experiments.jobs import list_jobs
    from experiments.params import load_params
    from experiments.provenance import provenance
    from experiments.settings import load_studies
    from experiments.store import STORE, Store
    from experiments.tracking.runs import StudyRuns
    from experiments.tracking.server import connect

    params = load_params(Path("params.yaml"))
    (study,) = load_studies(params.studies, params, "params.yaml")
    store, jobs = Store(STORE), list_jobs(study, provenance())
    server = connect(Path.cwd())
    runs = StudyRuns(server, study, jobs, store)
    for _ in runs.finish({jobs[0].key: store.finished(jobs[0].key)}):
        pass
    server.close()
    template = runs.ids[jobs[0].key]
    copies: dict[str, dict[str, Any]] = {}  # by id
    for job in jobs[1:count]:
        seconds = store.read(job.key).seconds
        copies[uuid4().hex] = {"trial_key": job.key, "name": job.trial.name, "seconds": seconds}
    with closing(sqlite3.connect(DATABASE)) as database, database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
            if RUN in columns:
                copy_rows(database, table, columns, template, copies)
    return [template, *copies]


def copy_rows(
    database: sqlite3.Connection, table: str, columns: Sequence[str], template: str, copies: dict[str, dict[str, Any]]
) -> None:
    """Copy what a table has of the run `template` for other runs, by id."""
    rows = [
        dict(zip(columns, row, strict=True))
        for row in database.execute(f"SELECT * FROM {table} WHERE {RUN} = ?", [template])
    ]
    changes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "trial_key": lambda of: {"value": of["trial_key"]},
        "mlflow.runName": lambda of: {"value": of["name"]},
        "final/seconds": lambda of: {"value": of["seconds"]},
    }
    new = []
    for run, of in copies.items():
        for row in rows:
            changed = row | {RUN: run}
            if table == "runs":
                changed |= {"name": of["name"], "artifact_uri": row["artifact_uri"].replace(template, run)}
            elif row.get("key") in changes:
                changed |= changes[row["key"]](of)
            new.append(tuple(changed.values()))
    database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", new)


if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).parent]
    print(json.dumps(fill(int(sys.argv[1]))))
