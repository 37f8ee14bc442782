"""What a sweep shows while it runs: lines, or one line on a terminal, with the time left."""

import io
from collections.abc import Callable

from core.record import Record
from experiments.jobs import Job
from experiments.progress import Progress, as_duration, seconds_left


def test_without_a_terminal_every_report_is_a_line(jobs: list[Job], record_of: Callable[[Job], Record]) -> None:
    stream = io.StringIO()
    progress = Progress(jobs, parallel=2, stream=stream)
    progress.started(jobs[0])
    progress.epoch(jobs[0], {"epoch": 1, "epochs": 2, "seconds": 60.0})
    progress.epoch(jobs[0], {"epoch": 2, "epochs": 2, "seconds": 120.0, "mask_AP": 12.34})
    progress.ended(jobs[0], record_of(jobs[0]).changed(metrics={"mask_AP": 12.34}))
    assert stream.getvalue().splitlines() == [
        "a-seed0 starting · 0 of 2 done · time left unknown",
        # 1 and 2 epochs of a minute are left, on two places: 1.5 in all, but the second trial alone takes 2
        "a-seed0 1/2 · 0 of 2 done · 2 min left",
        "a-seed0 2/2 mask AP 12.3 · 0 of 2 done · 2 min left",
        "a-seed0: mask AP 12.3 (1 of 2 done)",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_kept_up_to_date(jobs: list[Job]) -> None:
    stream = Terminal()
    progress = Progress(jobs, parallel=2, stream=stream)
    for job in jobs:
        progress.started(job)
    progress.epoch(jobs[1], {"epoch": 1, "epochs": 2, "seconds": 3600.0, "mask_AP": 5.0})
    assert stream.getvalue().count("\n") == 0
    shown = stream.getvalue().split("\r\033[K")[-1]
    assert shown == "0/2 done · a-seed0 starting · b-seed0 1/2 mask AP 5.0 · 2 h 0 min left"


def test_time_left_is_the_work_over_the_places_and_at_least_the_longest_trial() -> None:
    assert seconds_left({"a": 10, "b": 10}, {}, parallel=2) is None
    assert seconds_left({"a": 10, "b": 20}, {"a": 2.0}, parallel=2) == 40.0  # 20 and 40 s: b is the longest
    assert seconds_left({"a": 10, "b": 10, "c": 10}, {"a": 2.0, "b": 4.0}, parallel=2) == 45.0  # (20 + 40 + 30) / 2
    assert [as_duration(s) for s in (None, 5.4, 61, 3700)] == [
        "time left unknown",
        "5 s left",
        "1 min left",
        "1 h 2 min left",
    ]
