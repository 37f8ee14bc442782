"""Mask AP on resampled validation images: how far a difference depends on the images that were drawn.

`results/<study>/resampled_ap.csv` has one row a trial: its mask AP on all validation images, then on samples of as many
images drawn with replacement, the same draws for every trial (`python -m experiments.from_detections` writes it, from
the detections that trials keep). The difference of two arms on the same draws is a paired bootstrap over images.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.results import read_table
from analysis.statistics import Summary, with_error
from core.record import DIGITS, Record
from core.result_tables import ALL_IMAGES, TRIAL_KEY, VALIDATION_FILE

LEAST_DRAWS = 50


def read_resampled(path: Path) -> pd.DataFrame:
    """The file as it is, indexed by trial key.

    Raises:
        ValueError: for a missing column, too few draws, a trial that is listed twice, or an AP outside 0..100.
    """
    table = read_table(
        path, (TRIAL_KEY, VALIDATION_FILE, ALL_IMAGES), dtype={TRIAL_KEY: str, VALIDATION_FILE: str}
    ).set_index(TRIAL_KEY)
    aps = table.drop(columns=VALIDATION_FILE)
    if aps.shape[1] - 1 < LEAST_DRAWS:
        raise ValueError(f"{path}: {aps.shape[1] - 1} draws of images, expected at least {LEAST_DRAWS}")
    if table.index.has_duplicates:
        raise ValueError(f"{path}: more than one row for trial {table.index[table.index.duplicated()][0]}")
    wrong = [column for column in aps if not pd.to_numeric(aps[column], errors="coerce").between(0, 100).all()]
    if wrong:
        raise ValueError(f"{path}: column {wrong[0]}: expected an AP from 0 to 100 percent in every row")
    return table


def resampled_faults(path: Path, records: Iterable[Record]) -> list[str]:
    """What in the file does not fit the records of its trials: one line for each."""
    known = {record.key: record.metrics.get("mask_AP") for record in records}
    lines = []
    for key, row in read_resampled(path).iterrows():
        if known.get(key) is None:
            lines.append(f"{path}: trial {key} has no record with a mask AP")
        elif abs(known[key] - row[ALL_IMAGES]) > 10**-DIGITS:
            lines.append(f"{path}: trial {key} has {row[ALL_IMAGES]} on all images, its record {known[key]}")
    return lines


def with_images(
    difference: Summary, results: pd.DataFrame, arm: str, other: str, resampled: pd.DataFrame
) -> Summary | None:
    """A difference over several seeds whose interval also covers the sampling of images; None if that is unknown.

    The standard error over images is the standard deviation, over the draws of images, of the mean difference of these
    networks.
    """
    keys = results[results["mask_AP"].notna()].pivot_table(
        index="seed", columns="arm", values="trial_key", aggfunc="first"
    )
    pairs = keys[[arm, other]].dropna() if {arm, other} <= set(keys) else keys.iloc[:0]
    known = set(resampled.index)
    if difference.n < 2 or len(pairs) != difference.n or not known.issuperset(pairs.to_numpy().ravel()):
        return None
    ours, theirs = (resampled.loc[pairs[name]] for name in (arm, other))
    if len({*ours[VALIDATION_FILE], *theirs[VALIDATION_FILE]}) > 1:
        return None
    draws = [column for column in resampled if column not in (VALIDATION_FILE, ALL_IMAGES)]
    by_draw = (ours[draws].to_numpy() - theirs[draws].to_numpy()).mean(axis=0)
    return with_error(difference, difference.error, difference.freedom, float(np.std(by_draw, ddof=1)))
