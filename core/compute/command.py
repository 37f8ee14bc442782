"""How the commands end: with status 0, with one message and status 2 for wrong input, with 130 if interrupted."""

import sys
from collections.abc import Callable

WRONG_INPUT = 2
INTERRUPTED = 130  # as shells have it: 128 + SIGINT


def run_command(work: Callable[[], int | None], *, prints: Callable[[str], bool] = lambda message: True) -> int:
    """Do the work of a command; returns the status for the shell: 0, or what the work returns.

    What was given wrongly (ValueError), cannot be read or written (OSError) or diverges (FloatingPointError) is one
    message on stderr and status 2. Several workers may have the same message: `prints` says whether this one prints it.
    """
    try:
        return work() or 0
    except (ValueError, OSError, FloatingPointError) as error:
        if prints(str(error)):
            print(f"error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
