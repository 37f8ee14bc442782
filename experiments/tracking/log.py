"""Logs a sweep to MLflow in the background: no trial waits for the server, and no result depends on it."""

import logging
import math
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core.record import Record
from experiments.jobs import Job
from experiments.store import Store
from experiments.study import Study
from experiments.tracking.background import Background
from experiments.tracking.database import UNREACHABLE
from experiments.tracking.runs import StudyRuns
from experiments.tracking.server import connect, tracking_uri

START_SECONDS = 60.0  # for the first answer
END_SECONDS = 120.0  # for what is left to send when the last trial has ended
INTERRUPTED_SECONDS = 10.0  # the same after an interrupt: cluster managers kill 30 s after they ask a process to end
SILENT_SECONDS = 60.0  # at the end, without anything that gets sent
NOTICE_SECONDS = 5.0  # of waiting, after which the user is told why
MOST_WAITING = 1000  # events; those dropped are made up for at the end


class Tracking:
    """An observer of a sweep over some studies.

    `MLFLOW_TRACKING_URI` names a server; without it everything goes to `folder` (mlflow.db, mlartifacts/). If the
    server stops responding, trials continue; `finish` logs what it missed.

    Raises:
        ValueError: if MLflow cannot be reached at the start of the sweep.
    """

    def __init__(self, studies: Sequence[tuple[Study, Sequence[Job]]], store: Store, folder: Path) -> None:
        self.address = _without_password(tracking_uri(folder))
        self.lost = False  # a call failed: log nothing more before the end of the sweep
        self.problem = ""  # why MLflow is incomplete after `finish`
        self._studies: list[StudyRuns] = []
        self._background = Background(MOST_WAITING, self._send_epochs)
        try:
            self._server = connect(folder)
            self._background.ask(lambda: self._server.client.search_experiments(max_results=1), START_SECONDS)
        except UNREACHABLE as error:
            way_out = (
                "start it or name another in MLFLOW_TRACKING_URI, and run the same command without --fresh to resume"
            )
            raise ValueError(f"MLflow at {self.address}: {in_a_line(error)}; {way_out}") from error
        self._studies = [StudyRuns(self._server, study, jobs, store) for study, jobs in studies]
        self._later(self._server.end_abandoned)
        for runs in self._studies:
            self._later(runs.begin)

    def started(self, job: Job) -> None:
        for runs in self._of(job):
            self._later(runs.start, runs.jobs[job.key])  # another study may use it under another name

    def epoch(self, job: Job, numbers: dict[str, float]) -> None:
        for runs in self._of(job):
            self._later(runs.epoch, job, numbers)

    def ended(self, job: Job, record: Record) -> None:
        for runs in self._of(job):
            self._later(runs.end, runs.jobs[job.key], record)

    def run_ids(self, study: str) -> dict[str, str]:
        """The ids of the runs of a study that this sweep knows so far, by trial key."""
        return {key: run_id for runs in self._studies if runs.study.name == study for key, run_id in runs.ids.items()}

    def finish(self, records: Mapping[str, dict[str, Record]], *, seconds: float = math.inf) -> None:
        """Log what MLflow lacks of the records (by study and key), and end the sweep; at most for so many seconds.

        Runs of trials without a record are marked as killed. `problem` says afterwards why MLflow is incomplete; empty
        if it is complete.
        """
        limit = f", for at most {seconds:.0f} s" if seconds < math.inf else ""
        notice = threading.Timer(
            NOTICE_SECONDS, print, [f"MLflow at {self.address}: sending what is left{limit}"], {"file": sys.stderr}
        )
        notice.start()
        try:
            self._background.finish(partial(self._finish, records), seconds=seconds, silent_seconds=SILENT_SECONDS)
        except Exception as error:  # whatever it is, it does not concern the results
            self.problem = f"MLflow at {self.address}: {in_a_line(error)}"
        finally:
            notice.cancel()
            self._server.close()

    def _finish(self, records: Mapping[str, dict[str, Record]]) -> None:
        for runs in self._studies:
            for _ in runs.finish(records.get(runs.study.name, {})):
                self._background.sign_of_life()

    def _of(self, job: Job) -> list[StudyRuns]:
        return [runs for runs in self._studies if job.key in runs.jobs]

    def _later(self, log: Callable[..., None], *arguments: Any) -> None:
        self._background.put(partial(self._try, log, *arguments))

    def _send_epochs(self) -> None:
        for runs in self._studies:
            self._try(runs.send_epochs)

    def _try(self, log: Callable[..., None], *arguments: Any) -> None:
        if self.lost:
            return
        try:
            log(*arguments)
        except Exception as error:  # whatever it is, it does not concern the trials
            self.lost = True
            reason = in_a_line(error)
            logging.warning("MLflow at %s: %s; trials continue and are logged at the end", self.address, reason)


def in_a_line(error: Exception) -> str:
    """What went wrong, without the password of an address."""
    line = _without_password(str(error).strip().partition("\n")[0])
    is_plain = line and isinstance(error, (*UNREACHABLE, ValueError))  # else the message says little without its type
    return line if is_plain else f"{type(error).__name__}: {line}".removesuffix(": ")


def _without_password(text: str) -> str:
    """A text with addresses, in which user and password are replaced by stars."""
    return re.sub(r"//[^/@\s]*@", "//***@", text)
