"""Faults of MLflow: a database that is killed in the making, locked or gone, and a server that goes away."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.faults.project import SWEEP_IN_PROCESS, Done, Project, Unexpected

PORT = 5917
SERVER = f"http://127.0.0.1:{PORT}"


def _same_results(project: Project, undisturbed: Project) -> None:
    if project.results() != undisturbed.results():
        raise Unexpected("another table than the sweep that nothing happened to")


@contextmanager
def _server(folder: Path) -> Iterator[subprocess.Popen]:
    words = ["mlflow", "server", "--port", str(PORT), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--artifacts-destination", str(folder / "a")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", *words], start_new_session=True, **quiet)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(URLError, OSError):
                urlopen(f"{SERVER}/health", timeout=1)
                break
            time.sleep(0.3)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def killed_in_the_first_migration(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """kill -9 while MLflow's database is made, at five moments"""
    for moment in (0.0, 0.3, 0.7, 1.2, 2.0):
        for path in project.folder.glob("*mlflow.db*"):
            path.unlink()
        running = project.start(SWEEP_IN_PROCESS).until(lambda: any(project.folder.glob("*mlflow.db*")))
        time.sleep(moment)
        with suppress(ProcessLookupError):
            running.send(signal.SIGKILL)
        running.wait()
        done = project.run(SWEEP_IN_PROCESS).ended(0)
        _same_results(project, undisturbed)
    return done, "nothing"


def database_locked(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """mlflow.db is locked by another program"""
    shutil.copytree(undisturbed.store, project.store)
    project.run(SWEEP_IN_PROCESS).ended(0)
    with closing(sqlite3.connect(project.folder / "mlflow.db", isolation_level=None)) as database:
        database.execute("begin exclusive")
        done = project.run(SWEEP_IN_PROCESS)
    if done.status not in (0, 2):
        raise Unexpected(f"status {done.status}: {done.message}")
    done.ended(done.status, "mlflow")
    return done, "nothing"


def server_absent(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """MLFLOW_TRACKING_URI names a server that does not run"""
    environment = {"MLFLOW_TRACKING_URI": SERVER, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    done = project.run(SWEEP_IN_PROCESS, **environment).ended(2, SERVER)
    if project.keys():
        raise Unexpected("trials were trained before the server was missed")
    return done, "nothing; said before anything is trained"


def server_gone_at_the_end(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """the MLflow server goes away in the last trial"""
    environment = {"MLFLOW_TRACKING_URI": SERVER, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    with _server(project.folder) as server:
        running = project.start(SWEEP_IN_PROCESS, **environment)
        running.until(lambda: len(list(project.store.glob("*/checkpoint.pt"))) == 2)
        server.kill()
    done = running.wait()
    done.ended(done.status, "mlflow")
    _same_results(project, undisturbed)
    with _server(project.folder):
        project.run(SWEEP_IN_PROCESS, **environment).ended(0)
    return done, "nothing; results are written, the same command sends the rest"


def moved(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """the project's folder is moved after a sweep"""
    project.run(SWEEP_IN_PROCESS).ended(0)
    new = Project(project.folder.with_name(f"{project.folder.name}_moved"))
    project.folder.rename(new.folder)
    done = new.run([*SWEEP_IN_PROCESS, "--fresh"]).ended(0)
    if project.folder.exists():
        raise Unexpected("the old folder was made anew")
    _same_results(new, undisturbed)
    return done, "nothing"


FAULTS = (killed_in_the_first_migration, database_locked, server_absent, server_gone_at_the_end, moved)
