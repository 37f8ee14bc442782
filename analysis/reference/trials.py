"""The trials of one study in a reference: its own, and seed 0 on another type of CPU."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pandas as pd

from analysis.reference.settings import differing_settings
from analysis.results import read_records, read_results, recipe_of
from core.record import METRICS, Record

REFERENCES = Path("reference")  # one folder per recipe
OTHER_CPU = "other_cpu"  # folder of a reference: <study>.csv and <study>/trials of seed 0 on another type of CPU


@dataclass(frozen=True)
class Trial:
    """One trial with its metrics by name, NaN if missing; `record` is None if it was not stored."""

    key: str
    arm: str
    seed: int
    metrics: dict[str, float]
    reason: str  # of a trial without mask AP
    record: Record | None

    @property
    def mask_ap(self) -> float:
        return self.metrics["mask_AP"]

    @property
    def finished(self) -> bool:
        return not pd.isna(self.mask_ap)

    @property
    def device(self) -> str:
        """Type of CPU, or GPU; empty if not recorded."""
        return (self.record.device if self.record else None) or ""


@dataclass(frozen=True)
class StudyReference:
    """`results` and `trials` are the reference's own, `other_cpu` are the trials on the other type of CPU, if any."""

    folder: Path
    results: pd.DataFrame
    trials: tuple[Trial, ...]
    other_cpu: tuple[Trial, ...] = ()

    @property
    def records(self) -> dict[str, Record]:
        return {trial.key: trial.record for trial in self.trials if trial.record is not None}

    @property
    def cpu_pairs(self) -> list[tuple[Trial, Trial]]:
        """Finished trials with the same arm, seed and settings on both types of CPU."""
        elsewhere = {(trial.arm, trial.seed): trial for trial in self.other_cpu if trial.finished}
        pairs = [(trial, elsewhere.get((trial.arm, trial.seed))) for trial in self.trials if trial.finished]
        return [(trial, other) for trial, other in pairs if other is not None and _same_settings(trial, other)]


def trials_of(results: pd.DataFrame, records: dict[str, Record]) -> tuple[Trial, ...]:
    """The rows of a study's results as trials, in the same order."""
    return tuple(
        Trial(
            key=row["trial_key"],
            arm=row["arm"],
            seed=int(row["seed"]),
            metrics={name: float(row[name]) for name in METRICS},
            reason=row["reason"],
            record=records.get(row["trial_key"]),
        )
        for row in results.to_dict("records")
    )


def reference_folder(records: Iterable[Record], folder: Path | None) -> Path | None:
    """`folder`, by default `reference/<recipe of the records>`; None if there are no records."""
    recipe = recipe_of(records)
    return folder or (REFERENCES / recipe if recipe else None)


def read_reference(folder: Path, study_name: str) -> StudyReference | None:
    """Read a study of the reference in `folder`; None if the reference does not contain it.

    Raises:
        ValueError: if a file is malformed.
    """
    if not (folder / f"{study_name}.csv").exists():
        return None
    results, trials = _read(folder, study_name)
    other = folder / OTHER_CPU
    other_cpu = _read(other, study_name)[1] if (other / f"{study_name}.csv").exists() else ()
    return StudyReference(folder, results, trials, other_cpu)


def nearest(device: str, trials: Sequence[Trial]) -> Trial:
    """The trial whose device name shares the longest prefix with `device`; the first of several."""
    return max(trials, key=lambda trial: _length_of_shared_start(device, trial.device))


def _length_of_shared_start(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _read(folder: Path, study_name: str) -> tuple[pd.DataFrame, tuple[Trial, ...]]:
    results = read_results(folder / f"{study_name}.csv")
    return results, trials_of(results, read_records(results, folder / study_name / "trials"))


def _same_settings(trial: Trial, other: Trial) -> bool:
    """Whether two trials have the same settings and data, according to their records."""
    return None not in (trial.record, other.record) and not differing_settings(other.record, trial.record)
