"""Exit status of the commands: 0, 2 after one message about wrong input, 130 if interrupted."""

import sys
from collections.abc import Callable

WRONG_INPUT = 2
INTERRUPTED = 130  # shell convention: 128 + SIGINT


def run_command(work: Callable[[], int | None], *, prints: Callable[[str], bool] = lambda message: True) -> int:
    """Run the work of a command and return the exit status: 0, or what the work returns.

    Wrong input (ValueError), failed reads or writes (OSError) and divergence (FloatingPointError) print one message to
    stderr and return status 2. Several workers may fail with the same message: `prints` decides which one prints it.
    """
    try:
        return work() or 0
    except (ValueError, OSError, FloatingPointError) as error:
        if prints(str(error)):
            print(f"error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
