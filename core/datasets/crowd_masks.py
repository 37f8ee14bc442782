"""Masks of crowds that are malformed: they stop no training, which never learns from them, but are named.

Where crowds are background (`data.crowds`), nothing reads their masks. Where they are ignored, the box of such a crowd
is its region, as it is of a crowd without a mask. An evaluation reads their masks, and refuses malformed ones
(`AnnotationFile.check_for_evaluation`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from core.datasets.annotation_checks import located
from core.datasets.annotation_file import ImageRecord
from core.datasets.crowds import Crowd
from core.datasets.segmentation_checks import segmentation_problem

NUM_SHOWN = 3  # problems in a message
CONSEQUENCE = {"background": "which is never read", "ignore": "so that all of its box is ignored"}  # by `data.crowds`


def with_sound_crowds(record: ImageRecord) -> ImageRecord:
    """The image without the malformed masks of its crowds, whose boxes stay."""
    if not any(_problem(crowd, record) for crowd in record.crowds):
        return record
    kept = (replace(crowd, segmentation=None) if _problem(crowd, record) else crowd for crowd in record.crowds)
    return replace(record, crowds=tuple(kept))


def crowd_mask_note(records: Sequence[ImageRecord], crowds: Literal["background", "ignore"]) -> str | None:
    """What to say of malformed masks of crowds, which are as `data.crowds` says; None without any."""
    problems = [
        located(crowd.annotation_id, record.image_id, problem)
        for record in records
        for crowd in record.crowds
        if (problem := _problem(crowd, record))
    ]
    if not problems:
        return None
    more = f"; and {len(problems) - NUM_SHOWN} more" if len(problems) > NUM_SHOWN else ""
    found = f"{len(problems)} crowd(s) with a malformed mask, {CONSEQUENCE[crowds]} (data.crowds is {crowds})"
    return f"{found}: {'; '.join(problems[:NUM_SHOWN])}{more}"


def _problem(crowd: Crowd, record: ImageRecord) -> str | None:
    if crowd.segmentation is None:
        return None
    return segmentation_problem(crowd.segmentation, record.height, record.width)
