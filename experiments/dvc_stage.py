"""A sweep as a stage of DVC: it ends when DVC ends."""

import os
from signal import SIGTERM

from experiments.parent import end_with_parent


def end_with_dvc() -> None:
    """As a stage, have the kernel send this process SIGTERM when DVC, its parent, dies.

    A SIGTERM to `dvc repro` ends DVC and leaves its stage running, with nobody to stop it. Does nothing outside of a
    stage, or on another system than Linux.
    """
    if "DVC_STAGE" in os.environ:
        end_with_parent(SIGTERM)
