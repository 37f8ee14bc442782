"""The figures of a study as files: those that its records determine, and the grid of its pictures."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.edge_counts import read_edge_purity
from analysis.plots.curves import curves_figure
from analysis.plots.figures import FIGURES, empty_figure, sizes_figure, styled
from analysis.plots.mask_ious import has_shares, mask_ious_figure
from analysis.plots.pictures import contrasting_images, picture_columns, pictures_figure, trials_shown
from analysis.plots.saving import save
from analysis.presentation import main_figure, study_table
from analysis.results import finished, study_names
from analysis.studies.edge_purity import edge_purity_figure
from analysis.study_data import StudyData, read_study_data

PICTURE_ROWS = 6
PICTURES = "_pictures"
IOUS = "_ious"
MEASUREMENT = "edge_purity"


def draw_study(data: StudyData, table: pd.DataFrame, results_folder: Path) -> list[Path]:
    """Draw all figures of a study; an empty figure says why it is empty. Returns the paths."""
    name, plots = data.study.name, results_folder / "plots"
    columns = picture_columns(results_folder / name / "pictures", table, data.results, data.study)
    images, which = contrasting_images(columns, table, data.study, PICTURE_ROWS)
    with styled():
        paths = _draw_from_records(data, table, plots, FIGURES)
        grid = pictures_figure(columns, images, which=which) if images else _nothing_to_draw(data, PICTURES)
        shown = trials_shown(columns, data.results) if images else ()
        return paths + save(grid, plots / f"{name}{PICTURES}", FIGURES[PICTURES], trials=shown)


def draw_from_records(results_folder: Path, study_files: Path) -> None:
    """Draw every figure that CSVs and records determine: not the grids of pictures, nor the edges of one photo.

    IoUs of masks only where they were computed: trials of older references kept no detections.

    Raises:
        ValueError: if a file is malformed.
    """
    plots = results_folder / "plots"
    for name in study_names(results_folder):
        data = read_study_data(study_files / f"{name}.yaml", results_folder)
        with styled():
            ends = [end for end in FIGURES if end != IOUS or has_shares(data.mask_ious, data.results)]
            _draw_from_records(data, study_table(data), plots, ends)
    measured = results_folder / f"{MEASUREMENT}.csv"
    if measured.exists():
        with styled(formulas=True):
            save(edge_purity_figure(read_edge_purity(measured)), plots / MEASUREMENT)


def _draw_from_records(data: StudyData, table: pd.DataFrame, plots: Path, ends: Iterable[str]) -> list[Path]:
    figures = {"": main_figure(data, table)}
    if len(finished(data.results)):
        figures["_sizes"] = sizes_figure(table, data.results, data.study, data.scale)
    if has_shares(data.mask_ious, data.results):
        figures[IOUS] = mask_ious_figure(data.mask_ious, data.results, data.study, data.scale)
    if any(data.records_by_arm.values()):
        figures["_curves"] = curves_figure(data.records_by_arm, data.study)
    return [
        path
        for end in ends
        if end != PICTURES
        for path in save(
            figures.get(end) or _nothing_to_draw(data, end), plots / f"{data.study.name}{end}", FIGURES[end]
        )
    ]


def _nothing_to_draw(data: StudyData, end: str) -> Figure:
    what = {"_sizes": "results", "_curves": "records", IOUS: "kept detections", PICTURES: "pictures"}[end]
    return empty_figure(f"no {what}" if len(finished(data.results)) else "no finished trial")
