"""The project's own MLflow database: `python -m experiments.tracking.database` makes it, or follows a move.

MLflow makes its tables in some sixty steps, and a database whose making was cut off never opens again. So a new one is
made beside its place, under a lock, and renamed when it is whole. MLflow notes absolute paths of artifacts, and has no
other kind for a database without a server: they are rewritten when the project has been moved or copied.
"""

import itertools
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import mlflow.db
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from mlflow.exceptions import MlflowException
from mlflow.store import db_migrations
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from core.compute.command import run_command
from experiments.tracking.content import DESCRIPTION
from experiments.tracking.project import locked

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
UNREACHABLE = (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError)  # OSError: also of `requests`
BUSY_SECONDS = 20  # that another program may keep the database locked; MLflow's own limit
SETTLED_SECONDS = 5  # without a change: nobody is making the tables of an unfinished database


def sqlite_uri(path: Path) -> str:
    """MLflow's address of a database file; quotes what has a meaning in an address."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def prepare(path: Path, artifacts: Path | None = None) -> None:
    """Make an MLflow database, or bring one of an earlier version up to date; point its runs to the folder `artifacts`.

    A database whose making was cut off is finished. If that is impossible and it has no runs, a new one takes its
    place. In both cases the old file is kept under another name.

    Raises:
        OSError: if the file cannot be read or written.
        ValueError: if it is no database, stays locked, or has runs of a version that this one cannot read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(path.with_name(f"{path.name}.lock")):
            if path.exists():
                _check(path)
            else:
                _make(path)
            if artifacts is not None:
                _relocate(path, artifacts.as_uri())
    except (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error) as error:
        reason = str(error).partition("\n")[0]
        way_out = "end the program that holds it" if "locked" in reason else "free space, or rename the file"
        raise ValueError(f"{path}: {reason}; {way_out}, and run the same command again") from error


def _make(path: Path) -> None:
    for rest in ("-journal", "-wal", "-shm"):  # of a file that is gone; they would be applied to the new one
        path.with_name(path.name + rest).unlink(missing_ok=True)
    with _partial(path) as partial:
        _migrate(partial)
        os.replace(partial, path)


def _check(path: Path) -> None:
    newest = _newest_revision()
    if _revision(path) != newest and _settled_revision(path) != newest:
        _renew(path, newest)


def _renew(path: Path, newest: str | None) -> None:
    """Put a database of the newest revision into the place of `path`, with its runs."""
    found = _revision(path)
    with _partial(path) as partial:
        with closing(_connect(path)) as old, closing(sqlite3.connect(partial)) as copy:
            old.backup(copy)
        try:
            _migrate(partial)
        except UNREACHABLE as error:
            if num_runs := _count_runs(path):
                raise ValueError(
                    f"{path}: {num_runs} runs in tables of revision {found}, expected {newest}, and they "
                    f"cannot be brought up to date ({error}); open it with the MLflow that wrote it, or rename it"
                ) from error
            partial.unlink()
            _migrate(partial)
        names = (path.with_name(f"{path.name}.old{number or ''}") for number in itertools.count())
        kept = next(name for name in names if not name.exists())
        os.link(path, kept)  # unlike a rename, it leaves no moment without a database
        os.replace(partial, path)
    logging.warning(
        "%s: its tables were unfinished or of another MLflow version (revision %s); they are made whole, and the old "
        "file is kept as %s",
        path,
        found,
        kept.name,
    )


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """A path beside `path` for a database that is being made; what a killed process left there is removed."""
    partial = path.with_name(f"{path.name}.partial")
    files = [partial, partial.with_name(f"{partial.name}-journal")]
    for file in files:
        file.unlink(missing_ok=True)
    try:
        yield partial
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _migrate(path: Path) -> None:
    """Bring a database to the newest revision, as the command `mlflow db upgrade` does, and flush it to the disk."""
    mlflow.db.upgrade.callback(sqlite_uri(path))
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS)


def _has_table(database: sqlite3.Connection, name: str) -> bool:
    found = database.execute("select 1 from sqlite_master where type = 'table' and name = ?", (name,))
    return found.fetchone() is not None


def _revision(path: Path) -> str | None:
    """The last migration that a database has seen; None for one that has seen none."""
    with closing(_connect(path)) as database:
        if not _has_table(database, "alembic_version"):
            return None
        row = database.execute("select version_num from alembic_version").fetchone()
    return row and row[0]


def _newest_revision() -> str | None:
    config = Config()
    config.set_main_option("script_location", str(Path(db_migrations.__file__).parent))
    return ScriptDirectory.from_config(config).get_current_head()


def _count_runs(path: Path) -> int:
    with closing(_connect(path)) as database:
        return database.execute("select count(*) from runs").fetchone()[0] if _has_table(database, "runs") else 0


def _settled_revision(path: Path) -> str | None:
    """The revision of a database once no other program, such as `mlflow server`, is making its tables."""
    seen, deadline = _revision(path), time.monotonic() + SETTLED_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if (now := _revision(path)) != seen:
            seen, deadline = now, time.monotonic() + SETTLED_SECONDS
    return seen


def _relocate(path: Path, artifacts: str) -> None:
    """Let the experiments and runs of this project keep their artifacts at the address `artifacts`."""
    with closing(_connect(path)) as database, database:  # one transaction
        ours = database.execute(
            "select experiment_id, artifact_location from experiments join experiment_tags using (experiment_id) "
            "where key = ? and artifact_location like ? and artifact_location != ?",
            (DESCRIPTION, f"file://%/{ARTIFACTS}", artifacts),  # all experiments of ours have a description
        ).fetchall()
        for experiment, old in ours:
            database.execute(
                "update runs set artifact_uri = ? || substr(artifact_uri, ?) "
                "where experiment_id = ? and substr(artifact_uri, 1, ?) = ?",
                (artifacts, len(old) + 1, experiment, len(old) + 1, f"{old}/"),
            )
            database.execute(
                "update experiments set artifact_location = ? where experiment_id = ?", (artifacts, experiment)
            )


def main() -> int:
    folder = Path.cwd()
    return run_command(lambda: prepare(folder / DATABASE, folder / ARTIFACTS))


if __name__ == "__main__":
    sys.exit(main())
