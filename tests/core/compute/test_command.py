"""How a command ends: its status, one message for what was wrong, and none twice."""

import os
import re
import signal
from importlib import import_module
from pathlib import Path

import pytest
from torch import distributed

from core.compute.command import run_command
from core.compute.interrupt import Stopped
from core.compute.workers import ALONE, Workers, run_with_workers


def test_work_that_is_done_is_status_0_unless_it_says_otherwise() -> None:
    seen = []
    assert run_command(lambda: seen.append(1)) == 0
    assert run_command(lambda: 1) == 1
    assert run_with_workers(lambda workers, device: seen.append((workers, device)), "cpu") == 0
    assert seen == [1, (ALONE, "cpu")]


@pytest.mark.parametrize("kind", [ValueError, OSError, FileNotFoundError, FloatingPointError])
def test_what_may_go_wrong_is_one_message_and_status_2(
    kind: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    def work(*given: object) -> None:
        raise kind("step 3: loss box is not finite")

    assert run_command(work) == 2
    assert capsys.readouterr() == ("", "error: step 3: loss box is not finite\n")
    assert run_with_workers(work, "cpu") == 2
    assert capsys.readouterr() == ("", "error: step 3: loss box is not finite\n")


def test_an_interrupted_command_says_so_and_ends_with_128_and_the_signal(capsys: pytest.CaptureFixture[str]) -> None:
    def press_control_c(*given: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def terminate(*given: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def stop(*given: object) -> None:
        raise Stopped("stopped by SIGTERM after 3 of 4 steps", signal.SIGTERM)

    for work, status, message in (
        (press_control_c, 130, "interrupted\n"),
        (terminate, 143, "terminated\n"),
        (stop, 143, "stopped by SIGTERM after 3 of 4 steps\n"),
    ):
        for run in (run_command, lambda work: run_with_workers(work, "cpu")):
            assert run(work) == status
            assert capsys.readouterr() == ("", message)


def test_a_fault_of_the_program_is_one_line_and_status_70(capsys: pytest.CaptureFixture[str]) -> None:
    for run in (run_command, lambda work: run_with_workers(work, "cpu")):
        assert run(lambda *given: 1 / 0) == 70
        assert re.fullmatch(
            r"error: unexpected ZeroDivisionError: division by zero \(tests/core/compute/test_command\.py:\d+\); "
            r"probably a fault of this program: BOXINST_DEBUG=1 in the environment shows more\n",
            capsys.readouterr().err,
        )


@pytest.mark.parametrize("error", [ValueError("no such setting"), KeyError("x"), KeyboardInterrupt()])
def test_the_traceback_is_shown_to_those_who_ask(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise error

    statuses = [run_command(work)]
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("BOXINST_DEBUG", "1")
    statuses.append(run_command(work))
    assert capsys.readouterr().err.startswith("Traceback (most recent call last):")
    assert statuses[0] == statuses[1]


COMMANDS = {
    "core.annotate.__main__": ["--checkpoint", "nowhere.pt", "--images", ".", "--out", "out", "--device", "cpu"],
    "core.checkpoints.backbone": ["nowhere.pt", "weights.pt"],
    "core.datasets.download": ["coco", "--root", "root", "--mirror", "no address"],
    "core.datasets.sources.scenes": ["--root", "scenes", "--size", "1"],
    "core.datasets.sources.shapes": ["--root", "shapes", "--size", "1"],
    "core.evaluation.__main__": ["--recipe", "none", "--checkpoint", "nowhere.pt", "--device", "cpu"],
    "core.evaluation.mask_iou": ["nowhere.json", "--against", "nowhere.json"],
    "core.train": ["--recipe", "none", "--folder", "run", "--device", "cpu"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_alike(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = import_module(name)
    assert command.main(COMMANDS[name]) == 2
    assert re.fullmatch(r"error: .+\n", capsys.readouterr().err)

    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    is_generator = name.startswith("core.datasets.sources.")
    monkeypatch.setattr("core.datasets.sources.generated_set.run" if is_generator else f"{name}.run", interrupted)
    assert command.main(COMMANDS[name]) == 130


def test_no_work_is_begun_on_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    begun = []
    assert run_with_workers(lambda workers, device: begun.append(device), "quantum") == 2
    assert capsys.readouterr().err == "error: device is 'quantum', expected cpu, cuda or cuda:N\n"
    assert begun == []


def test_a_device_that_all_workers_of_a_machine_lack_is_told_by_its_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run_with_workers(lambda workers, device: None, "quantum") == 2
    assert capsys.readouterr().err == ""


def test_each_message_is_told_by_the_worker_that_meets_it_first() -> None:
    store = distributed.HashStore()
    first, second = (Workers(rank, 2, store) for rank in range(2))
    assert second.first_to_print("no such file")
    assert not first.first_to_print("no such file")
    assert first.first_to_print("no space left")  # a message of its own
    assert ALONE.first_to_print("no such file")
    assert ALONE.first_to_print("no such file")
