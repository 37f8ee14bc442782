"""The inputs of a study's tables and figures, read from the output of the pipeline."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.annotation_cost import AnnotationCost
from analysis.edge_counts import read_edge_purity
from analysis.mask_ious import read_mask_ious
from analysis.published import read_published, with_released_models
from analysis.resampled_images import read_resampled
from analysis.results import finished, read_records, read_results
from analysis.scale import scale_sentence
from analysis.study import Study, load_study
from core.record import Record
from core.result_tables import MASK_IOUS, RESAMPLED_AP

DEFAULT_NEIGHBORHOOD = (3, 2)  # the paper's size and dilation


@dataclass(frozen=True)
class StudyData:
    """`records` are by trial key, including failed trials; `edge_purity` is None if not measured on their data.

    `spread` holds the reference's trials with the same settings, whose seeds give the interval of a single seed here;
    None if there is no reference, or it is not used. `resampled` holds the mask AP of trials on resampled images, and
    `mask_ious` how the IoUs of their masks are spread; None if that was not computed.
    """

    study: Study
    results: pd.DataFrame
    records: dict[str, Record]
    published: pd.DataFrame
    edge_purity: pd.DataFrame | None = None
    cost: AnnotationCost = field(default_factory=AnnotationCost)
    spread: pd.DataFrame | None = None
    resampled: pd.DataFrame | None = None
    mask_ious: pd.DataFrame | None = None

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        return configs_of(self.results, self.records)

    @property
    def scale(self) -> str:
        done = [record for records in self.records_by_arm.values() for record in records]
        return scale_sentence(done or list(self.records.values()), self.published)

    @property
    def records_by_arm(self) -> dict[str, list[Record]]:
        """Records of the finished trials of each arm, sorted by seed."""
        by_arm: dict[str, list[Record]] = {arm: [] for arm in self.study.arms}
        for trial in finished(self.results).sort_values("seed").itertuples():
            if trial.trial_key in self.records:
                by_arm[trial.arm].append(self.records[trial.trial_key])
        return by_arm


def configs_of(results: pd.DataFrame, records: dict[str, Record]) -> dict[str, dict[str, Any]]:
    """The settings of each arm, from its first trial with a record; no entry for an arm without records."""
    of_arm: dict[str, dict[str, Any]] = {}
    for trial in results.itertuples():
        if trial.trial_key in records:
            of_arm.setdefault(trial.arm, records[trial.trial_key].config)
    return of_arm


def read_study_data(study_file: Path, results_folder: Path, cost: AnnotationCost | None = None) -> StudyData:
    """Read the results, records and file of a study, the published numbers, and the edge purity next to the results.

    Raises:
        ValueError: if one of them is malformed.
    """
    name = study_file.stem
    results = read_results(results_folder / f"{name}.csv")
    records = read_records(results, results_folder / name / "trials")
    measured = results_folder / "edge_purity.csv"
    edge_purity = of_same_edges(read_edge_purity(measured), records) if measured.exists() else None
    resampled, mask_ious = (results_folder / name / file for file in (RESAMPLED_AP, MASK_IOUS))
    return StudyData(
        load_study(study_file, results["arm"].tolist()),
        results,
        records,
        with_released_models(read_published(), name, configs_of(results, records)),
        edge_purity,
        cost or AnnotationCost(),
        resampled=read_resampled(resampled) if resampled.exists() else None,
        mask_ious=read_mask_ious(mask_ious) if mask_ious.exists() else None,
    )


def of_same_edges(edge_purity: pd.DataFrame, records: dict[str, Record]) -> pd.DataFrame | None:
    """The rows for the edges that the trials were trained with; None if these were not measured.

    These have the same short side, color temperature and neighborhood, and the data digest of one of the trials; that
    of others includes a file of masks. Without records, only the neighborhood counts, and it is the paper's.
    """
    record = next(iter(records.values()), None)
    config = record.config if record else {}
    loss, data = config.get("loss", {}), config.get("data", {})
    size, dilation = DEFAULT_NEIGHBORHOOD
    asked = {
        "neighborhood_size": loss.get("neighborhood_size", size),
        "neighborhood_dilation": loss.get("neighborhood_dilation", dilation),
        "color_temperature": loss.get("color_temperature"),
        "short_side": data.get("val_short_side"),
    }
    same = pd.Series(True, index=edge_purity.index)
    if records:
        same &= edge_purity["data_digest"].isin([record.data_digest for record in records.values()])
    for column, value in asked.items():
        if value is not None:
            same &= edge_purity[column] == value
    return edge_purity[same] if same.any() else None
