"""A database of the project: made whole or not at all, finished if it was cut off, and moved with the project."""

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from mlflow.tracking import MlflowClient

from experiments.tracking import database
from experiments.tracking.content import DESCRIPTION
from experiments.tracking.database import prepare, sqlite_uri

HOLD = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin exclusive'); "


@pytest.fixture
def path(empty_database: Path, tmp_path: Path) -> Path:
    """A database of this version, in a folder with a name that has a meaning in addresses."""
    folder = tmp_path / "100% ?#"
    folder.mkdir()
    return Path(shutil.copy(empty_database, folder))


@pytest.fixture
def quick(empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy a new database instead of making it; one that has tables is migrated by MLflow."""
    migrate = database._migrate

    def copy_or_migrate(path: Path) -> None:
        if path.exists() and sql(path, "select name from sqlite_master"):
            migrate(path)
        else:
            shutil.copy(empty_database, path)

    monkeypatch.setattr(database, "_migrate", copy_or_migrate)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SETTLED_SECONDS", 0.5)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)


def sql(path: Path, *statements: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as opened, opened:
        return [row for statement in statements for row in opened.execute(statement).fetchall()]


def add_run(path: Path, experiment: str = "study") -> str:
    client = MlflowClient(tracking_uri=sqlite_uri(path))
    artifacts = (path.parent / "mlartifacts").as_uri()
    run = client.create_run(client.create_experiment(experiment, artifacts, {DESCRIPTION: "q"}))
    client.log_text(run.info.run_id, "text", "file.txt")
    return run.info.run_id


def test_a_whole_database_is_left_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    prepare(path)
    assert path.read_bytes() == before
    assert MlflowClient(tracking_uri=sqlite_uri(path)).search_experiments()[0].name == "Default"


def test_what_a_killed_process_left_of_a_new_database_is_made_anew(tmp_path: Path, quick: None) -> None:
    for name in ("mlflow.db.partial", "mlflow.db.partial-journal", "mlflow.db-journal"):
        (tmp_path / name).write_bytes(b"cut off")
    prepare(tmp_path / "mlflow.db")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


@pytest.mark.parametrize("state", ["empty", "tables that the migrations meet again", "no revision"])
def test_an_unfinished_database_without_runs_is_replaced_and_kept(path: Path, state: str, quick: None, caplog) -> None:
    if state == "empty":
        path.write_bytes(b"")
    elif state == "no revision":
        sql(path, "drop table alembic_version")
    else:  # as if it had been killed between the last step and its note
        sql(path, "update alembic_version set version_num = (select '7ac759974ad8')")
    unfinished = path.read_bytes()
    prepare(path)
    assert path.with_name("mlflow.db.old").read_bytes() == unfinished
    assert "the old file is kept as mlflow.db.old" in caplog.text
    run_id = add_run(path)
    prepare(path)
    assert MlflowClient(tracking_uri=sqlite_uri(path)).get_run(run_id).info.status == "RUNNING"


def test_runs_of_a_version_that_cannot_be_read_are_kept_and_named(path: Path) -> None:
    add_run(path)
    sql(path, "update alembic_version set version_num = 'of_the_future'")
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=r"mlflow\.db: 1 runs in tables of revision of_the_future, expected .*rename it"
    ):
        prepare(path)
    assert path.read_bytes() == before
    assert not path.with_name("mlflow.db.partial").exists()


def test_runs_of_an_earlier_version_are_brought_up_to_date(path: Path) -> None:
    run_id = add_run(path)
    newest = sql(path, "select version_num from alembic_version")
    config = Config()
    config.set_main_option("script_location", str(Path(database.db_migrations.__file__).parent))
    config.set_main_option("sqlalchemy.url", sqlite_uri(path).replace("%", "%%"))
    command.downgrade(config, "-1")
    assert sql(path, "select version_num from alembic_version") != newest
    prepare(path)
    assert sql(path, "select version_num from alembic_version") == newest
    assert MlflowClient(tracking_uri=sqlite_uri(path)).get_run(run_id).info.run_id == run_id
    assert path.with_name("mlflow.db.old").exists()


def test_a_database_that_another_program_is_making_is_waited_for(path: Path) -> None:
    (newest,) = sql(path, "select version_num from alembic_version")[0]
    sql(path, "update alembic_version set version_num = 'a'")
    steps = (
        "import sqlite3, sys, time\nfor v in sys.argv[2:]:\n    time.sleep(0.3)\n    c = sqlite3.connect(sys.argv[1])\n"
    )
    steps += "    c.execute('update alembic_version set version_num = ?', (v,)); c.commit(); c.close()"
    with subprocess.Popen([sys.executable, "-c", steps, str(path), "b", "c", newest]):
        prepare(path)
    assert not path.with_name("mlflow.db.old").exists()


def test_what_is_no_database_is_named_and_kept(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ValueError, match=r"mlflow\.db: file is not a database; .*rename the file"):
        prepare(path)
    assert path.read_bytes() == b"not a database" * 100


def test_a_lock_of_another_program_is_one_sentence(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD + "print(flush=True); sys.stdin.read()", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        started = time.monotonic()
        with pytest.raises(ValueError, match="database is locked; end the program that holds it"):
            prepare(path)
        assert time.monotonic() - started < 5
        process.kill()


def test_artifacts_move_with_the_project_and_those_of_others_stay(path: Path, tmp_path: Path) -> None:
    run_id = add_run(path)
    client = MlflowClient(tracking_uri=sqlite_uri(path))
    others = client.create_run(client.create_experiment("others", "file:///elsewhere/mlartifacts"))
    new = tmp_path / "moved here"
    path.parent.rename(new)
    for _ in range(2):
        prepare(new / "mlflow.db", new / "mlartifacts")
        client = MlflowClient(tracking_uri=sqlite_uri(new / "mlflow.db"))
        run = client.get_run(run_id)
        assert run.info.artifact_uri == f"{(new / 'mlartifacts').as_uri()}/{run_id}/artifacts"
        assert [file.path for file in client.list_artifacts(run_id)] == ["file.txt"]
        later = client.create_run(run.info.experiment_id)
        assert later.info.artifact_uri.startswith((new / "mlartifacts").as_uri())
        assert client.get_run(others.info.run_id).info.artifact_uri.startswith("file:///elsewhere/mlartifacts/")
    assert not path.parent.exists()
