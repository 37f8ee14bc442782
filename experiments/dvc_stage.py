"""A sweep as a stage of DVC: it ends when DVC ends."""

import ctypes
import os
import sys
from signal import SIGTERM

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_dvc() -> None:
    """As a stage, have the kernel send this process SIGTERM when DVC, its parent, dies.

    A SIGTERM to `dvc repro` ends DVC and leaves its stage running, with nobody to stop it. Does nothing outside of a
    stage, or on another system than Linux.
    """
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(SIGTERM))
