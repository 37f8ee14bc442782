"""How a command ends: the work's status, one message for what was wrong, and none twice."""

import pytest
from torch import distributed

from core.compute.command import run_command
from core.compute.workers import ALONE, Workers


def test_work_that_is_done_is_status_0() -> None:
    seen = []
    assert run_command(lambda workers, device: seen.append((workers, device)), "cpu") == 0
    assert seen == [(ALONE, "cpu")]


@pytest.mark.parametrize("kind", [ValueError, OSError, FileNotFoundError, FloatingPointError])
def test_what_may_go_wrong_is_one_message_and_status_2(
    kind: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    def work(workers: Workers, device: str) -> None:
        raise kind("step 3: loss box is not finite")

    assert run_command(work, "cpu") == 2
    assert capsys.readouterr() == ("", "error: step 3: loss box is not finite\n")


def test_a_fault_of_the_program_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda workers, device: 1 / 0, "cpu")


def test_no_work_is_begun_on_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    begun = []
    assert run_command(lambda workers, device: begun.append(device), "quantum") == 2
    assert capsys.readouterr().err == "error: device is 'quantum', expected cpu, cuda or cuda:N\n"
    assert begun == []


def test_a_device_that_all_workers_of_a_machine_lack_is_told_by_its_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run_command(lambda workers, device: None, "quantum") == 2
    assert capsys.readouterr().err == ""


def test_each_message_is_told_by_the_worker_that_meets_it_first() -> None:
    store = distributed.HashStore()
    first, second = (Workers(rank, 2, store) for rank in range(2))
    assert second.first_to("tell: no such file")
    assert not first.first_to("tell: no such file")
    assert first.first_to("tell: no space left")  # a message of its own
    assert ALONE.first_to("tell: no such file")
    assert ALONE.first_to("tell: no such file")
