"""How the IoUs of the matched masks of a study's trials are spread: `results/<study>/mask_ious.csv`.

`python -m experiments.from_detections` writes it, from the detections that trials keep; see `core.result_tables`.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from analysis.results import read_table
from core.record import Record
from core.result_tables import BINS, NUM_BINS, TRIAL_KEY


def read_mask_ious(path: Path) -> pd.DataFrame:
    """The number of masks in each bin of IoUs, by trial key.

    Raises:
        ValueError: for a missing column, a trial that is listed twice, or a number that is no count.
    """
    table = read_table(path, (TRIAL_KEY, *BINS), dtype={TRIAL_KEY: str}).set_index(TRIAL_KEY)[list(BINS)]
    if table.index.has_duplicates:
        raise ValueError(f"{path}: more than one row for trial {table.index[table.index.duplicated()][0]}")
    counts = table.apply(pd.to_numeric, errors="coerce")
    wrong = [column for column in BINS if not (counts[column].ge(0) & counts[column].mod(1).eq(0)).all()]
    if wrong:
        raise ValueError(f"{path}: column {wrong[0]}: expected a number of masks in every row")
    return counts.astype(int)


def mask_iou_faults(path: Path, records: Iterable[Record]) -> list[str]:
    """What in the file does not fit the records of its trials: one line for each."""
    known = {record.key: record.metrics for record in records}
    lines = []
    for key, counts in read_mask_ious(path).iterrows():
        metrics = known.get(str(key), {})
        mean, matched = metrics.get("mask_iou"), metrics.get("matched_boxes")
        if matched is None:
            lines.append(f"{path}: trial {key} has no record with matched masks")
        elif counts.sum() > matched:
            lines.append(f"{path}: trial {key} has {counts.sum()} masks, its record {matched:g}")
        elif mean is not None and not _least_mean(counts) - 1e-9 <= mean <= _least_mean(counts) + 1 / NUM_BINS + 1e-9:
            lines.append(f"{path}: trial {key}: the mean IoU in its record, {mean}, cannot be that of these IoUs")
    return lines


def _least_mean(counts: pd.Series) -> float:
    """The mean IoU if each were the lower end of its bin."""
    return sum(count * index for index, count in enumerate(counts)) / NUM_BINS / max(counts.sum(), 1)
