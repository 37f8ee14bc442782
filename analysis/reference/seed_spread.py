"""The spread over the seeds of the reference, by which a run with one seed is judged."""

from dataclasses import replace
from pathlib import Path

from analysis.reference.settings import differing_settings
from analysis.reference.trials import read_reference, reference_folder
from analysis.results import finished
from analysis.study_data import StudyData


def with_spread(data: StudyData, folder: Path | None) -> StudyData:
    """Add the seeds of the reference in `folder`, by default `reference/<recipe of the trials>`, to a study's data.

    Only arms with the same settings and data here and in the reference, according to the records, are added; there may
    be none.

    Raises:
        ValueError: if a file of the reference is malformed.
    """
    folder = reference_folder(data.records.values(), folder)
    reference = None if folder is None else read_reference(folder, data.study.name)
    if reference is None:
        return data
    there = {trial.arm: trial.record for trial in reference.trials if trial.record is not None}
    same = [
        arm
        for arm, records in data.records_by_arm.items()
        if records and arm in there and not differing_settings(records[0], there[arm])
    ]
    rows = finished(reference.results)
    return replace(data, spread=rows[rows["arm"].isin(same)])
