"""How every command ends: its exit status, and one sentence in place of a traceback. Imports no torch.

    0    done
    1    the work was done, but not all of it succeeded, as its own output says (a sweep in which trials failed)
    2    the input or the environment is wrong: a setting, a file, a full disk, too little memory, a lost process
    70   an error that nothing above explains, probably a fault of this program (EX_SOFTWARE of sysexits.h)
    130  interrupted by Ctrl-C (128 + SIGINT)
    143  terminated by SIGTERM (128 + SIGTERM)

With `BOXINST_DEBUG=1` in the environment, the traceback is printed too. It is a variable and not a flag, so that it
reaches every process below `dvc repro`, `make` and `torchrun`.
"""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from core.compute.failure import describe, describe_unexpected
from core.compute.interrupt import Interrupted, termination_raised

DONE = 0
WRONG_INPUT = 2
UNEXPECTED = 70
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
DEBUG = "BOXINST_DEBUG"


def run_command(work: Callable[[], int | None], *, prints: Callable[[str], bool] = lambda message: True) -> int:
    """Run the work of a command and return the exit status: 0, or what the work returns, or that of its failure.

    No exception leaves it: each becomes one sentence on stderr (`core.compute.failure`) and a status of the table
    above. Wrong input raises a ValueError whose message names the place and the way out. SIGTERM ends the work like
    Ctrl-C, unless the work handles it itself (`core.compute.interrupt`). Several workers may fail with the same
    message: `prints` decides which one prints it. Call it in the main thread, once, around everything that may fail.
    """
    try:
        with termination_raised():
            return work() or DONE
    except KeyboardInterrupt as interrupt:
        number = interrupt.signal_number if isinstance(interrupt, Interrupted) else signal.SIGINT
        _tell(str(interrupt) or "interrupted", interrupt, prints)
        return 128 + number
    except Exception as error:
        if (sentence := describe(error)) is not None:
            _tell(f"error: {sentence}", error, prints)
            return WRONG_INPUT
        advice = "" if _debugs() else f"; probably a fault of this program: {DEBUG}=1 in the environment shows more"
        _tell(f"error: {describe_unexpected(error)}{advice}", error, prints)
        return UNEXPECTED


def leave(status: int) -> NoReturn:
    """End the process of a command that has loaded much, without Python's last search for garbage.

    It takes a second where torch and MLflow are loaded. Not for commands that other code calls.
    """
    gc.freeze()
    sys.exit(status)


def _debugs() -> bool:
    return os.environ.get(DEBUG, "") not in ("", "0")


def _tell(message: str, error: BaseException, prints: Callable[[str], bool]) -> None:
    if not prints(message):
        return
    if _debugs():
        traceback.print_exception(error)
    print(message, file=sys.stderr)
