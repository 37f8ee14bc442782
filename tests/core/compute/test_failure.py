"""What people are told about a failure: the cause, the place and the way out, in one line."""

import errno
import json
import re
from pathlib import Path

import pytest
import torch

from core.compute.failure import describe, describe_unexpected, is_out_of_memory


def test_wrong_input_and_divergence_say_it_themselves() -> None:
    assert describe(ValueError("a.json: no images")) == "a.json: no images"
    assert describe(FloatingPointError("step 3: loss box is not finite")) == "step 3: loss box is not finite"
    assert describe(ValueError()) == "ValueError"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_the_file_and_what_is_free(number: int, tmp_path: Path) -> None:
    found = describe(OSError(number, "No space left on device", str(tmp_path / "not" / "yet" / "a.pt")))
    assert re.fullmatch(
        r"/.*/not/yet/a\.pt: No space left on device \(\d+\.\d MB are free there now\); free some space or choose "
        r"another folder, then run the same command again",
        found,
    )
    assert describe(OSError(number, "full")) == (
        "full; free some space or choose another folder, then run the same command again"
    )


def test_other_errors_of_the_system_are_told_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as gone:
        (tmp_path / "gone").read_bytes()
    assert describe(gone.value) == f"{tmp_path}/gone: No such file or directory"
    assert describe(OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b")) == (
        "a -> b: Invalid cross-device link"
    )
    assert describe(OSError("no header")) == "no header"
    assert describe(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "out of memory; end other"),
        (MemoryError("Unable to allocate 3.50 GiB for an array"), "out of memory, asking for 3.50 GiB; end other"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
            "out of memory of the GPU, asking ",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes."),
            "out of memory, ",
        ),
        (RuntimeError("std::bad_alloc"), "out of memory; end other"),
    ],
)
def test_memory_that_runs_out_is_told_alike(error: Exception, sentence: str) -> None:
    assert is_out_of_memory(error)
    assert describe(error).startswith(sentence)
    assert "lower training.batch_size" in describe(error)


def test_torch_and_this_module_agree_when_memory_runs_out() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    assert describe(refused.value).startswith(
        "out of memory, asking for 1152921504606846976 bytes; end other processes"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "DataLoader worker (pid 12) is killed by signal: Killed. ",
            "(pid 12) is killed by signal: Killed; most often",
        ),
        (
            "DataLoader worker (pid(s) 1, 2) exited unexpectedly",
            "(pid 1, 2) exited unexpectedly; most often the memory",
        ),
    ],
)
def test_a_loader_process_that_torch_reports_dead_is_told_with_the_way_out(text: str, told: str) -> None:
    assert f"a process that loads images {told}" in describe(RuntimeError(text))


def test_an_unexpected_error_is_told_with_its_place_in_this_project() -> None:
    assert describe(KeyError("x")) is describe(RuntimeError("x")) is None
    with pytest.raises(TypeError) as raised:
        json.dumps(object())  # raised far inside a library
    line = raised.traceback[0].lineno + 1
    assert describe_unexpected(raised.value) == (
        "unexpected TypeError: Object of type object is not JSON serializable "
        f"(tests/core/compute/test_failure.py:{line})"
    )
    assert describe_unexpected(KeyError("a\nb")) == "unexpected KeyError: 'a\\nb'"
    assert describe_unexpected(RuntimeError("first\nsecond")) == "unexpected RuntimeError: first"
    assert describe_unexpected(RuntimeError()) == "unexpected RuntimeError: without a message"
