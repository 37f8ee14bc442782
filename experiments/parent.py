"""A process that must not outlive the one that started it."""

import ctypes
import sys
from signal import Signals

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(number: Signals) -> None:
    """Have the kernel send this process the signal when its parent dies. Does nothing on another system than Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
