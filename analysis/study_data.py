"""All that the tables and figures of one study are made from, read from the files that the pipeline wrote."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.annotation_time import AnnotationCost
from analysis.edge_purity import read_edge_purity
from analysis.published import read_published
from analysis.results import finished, read_records, read_results
from analysis.study import Study, load_study
from analysis.tables import scale_sentence

DEFAULT_NEIGHBORHOOD = (3, 2)  # size and dilation of the paper


@dataclass(frozen=True)
class StudyData:
    """`records` are by trial key; `edge_purity` is that of this data and neighborhood, None where not measured."""

    study: Study
    results: pd.DataFrame
    records: dict[str, dict[str, Any]]
    published: pd.DataFrame
    edge_purity: pd.DataFrame | None = None
    cost: AnnotationCost = field(default_factory=AnnotationCost)

    @property
    def config(self) -> dict[str, Any] | None:
        """Settings of one trial, for what all trials of the study share."""
        return next((record["config"] for record in self.records.values()), None)

    @property
    def scale(self) -> str:
        return scale_sentence(next(iter(self.records.values()), None))

    @property
    def records_by_arm(self) -> dict[str, list[dict[str, Any]]]:
        """Records of the finished trials of each arm, in the order of their seeds."""
        by_arm: dict[str, list[dict[str, Any]]] = {arm: [] for arm in self.study.arms}
        for trial in finished(self.results).sort_values("seed").itertuples():
            if trial.trial_key in self.records:
                by_arm[trial.arm].append(self.records[trial.trial_key])
        return by_arm


def read_study_data(study_file: Path, results_folder: Path, cost: AnnotationCost | None = None) -> StudyData:
    """Read one study's results, records and study file, the published numbers and the edge purity beside it.

    Raises:
        ValueError: if any of them is malformed.
    """
    name = study_file.stem
    results = read_results(results_folder / f"{name}.csv")
    records = read_records(results, results_folder / name / "trials")
    measured = results_folder / "edge_purity.csv"
    edge_purity = _of_same_edges(read_edge_purity(measured), records) if measured.exists() else None
    return StudyData(
        load_study(study_file, results["arm"].tolist()),
        results,
        records,
        read_published(),
        edge_purity,
        cost or AnnotationCost(),
    )


def _of_same_edges(edge_purity: pd.DataFrame, records: dict[str, dict[str, Any]]) -> pd.DataFrame | None:
    """The rows of the trials' neighborhood, or the paper's without records; None if measured on other data."""
    record = next(iter(records.values()), {})
    loss = record.get("config", {}).get("loss", {})
    size, dilation = DEFAULT_NEIGHBORHOOD
    size, dilation = loss.get("neighborhood_size", size), loss.get("neighborhood_dilation", dilation)
    same = (edge_purity["neighborhood_size"] == size) & (edge_purity["neighborhood_dilation"] == dilation)
    if record.get("data_digest") is not None:
        same &= edge_purity["data_digest"] == record["data_digest"]
    return edge_purity[same] if same.any() else None
