"""How a study is shown: its view, its main figure and its tables."""

from collections.abc import Iterable
from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

from analysis.comparisons import Comparisons, OwnPairs, compare_arms
from analysis.plain_text import table_csv
from analysis.plots.figures import arms_figure
from analysis.published import STATUS_MEANINGS
from analysis.results import COLUMNS, finished
from analysis.studies import annotation_budget, class_split, color_threshold, mask_ratio
from analysis.study import nearest
from analysis.study_data import StudyData
from analysis.tables.comparison_table import comparison_files
from analysis.tables.latex import latex_table, study_caption
from analysis.tables.quality_table import quality_numbers, quality_section
from analysis.tables.study_table import OwnColumns, arm_table, reader_table, reading_note, render_markdown
from analysis.verdict import OwnWords, Verdict, gap_in_words, judgments, verdict


class View(Protocol):
    """The study-specific parts of a report: a module of analysis/studies that the study file names."""

    NEEDS_X: bool  # whether the study file must name the field on the figure's x-axis

    def columns(self, data: StudyData) -> OwnColumns | None:
        """Additional columns of the table."""

    def figure(self, data: StudyData, table: pd.DataFrame) -> Figure | None:
        """The main figure, instead of the bars; None if the results lack what it needs."""

    def pairs(self, data: StudyData) -> OwnPairs:
        """The arms to compare in addition to those of the expected orders and to the reference arm."""

    def words(self, data: StudyData, compared: Comparisons) -> OwnWords:
        """What the verdict says in addition to the expected orders."""


VIEWS: dict[str, View] = {
    "annotation_budget": annotation_budget,
    "class_split": class_split,
    "color_threshold": color_threshold,
    "mask_ratio": mask_ratio,
}


def view_of(data: StudyData) -> View | None:
    """The view that the study file names; most studies have none.

    Raises:
        ValueError: if there is no such view, or the results do not vary its x field; names the file, the unknown name
            and the nearest known one.
    """
    study = data.study
    if study.view is not None and study.view not in VIEWS:
        raise ValueError(f"{study.file}: view: no view '{study.view}'{nearest(str(study.view), list(VIEWS))}")
    view = None if study.view is None else VIEWS[study.view]
    if view is None or not view.NEEDS_X:
        if study.x is not None:
            drawing = ", ".join(name for name, known in VIEWS.items() if known.NEEDS_X)
            raise ValueError(f"{study.file}: x: only the views {drawing} take an x field")
        return view
    varied = [column for column in data.results if column not in COLUMNS]
    if study.x is None:
        raise ValueError(f"{study.file}: x: missing; the view '{study.view}' needs the field of its x-axis")
    if study.x not in varied:
        raise ValueError(f"{study.file}: x: the study does not vary '{study.x}'{nearest(study.x, varied)}")
    return view


def own_columns(data: StudyData) -> OwnColumns | None:
    """The additional columns of the study's table; most studies have none."""
    view = view_of(data)
    return None if view is None else view.columns(data)


def study_table(data: StudyData) -> pd.DataFrame:
    return arm_table(data.results, data.study, data.published, data.configs, own_columns(data), compared_arms(data))


def compared_arms(data: StudyData) -> Comparisons:
    """Every comparison of arms that the study makes."""
    view = view_of(data)
    own = OwnPairs() if view is None else view.pairs(data)
    return compare_arms(data.results, data.study, own, spread=data.spread, resampled=data.resampled)


def main_figure(data: StudyData, table: pd.DataFrame) -> Figure:
    """The view's figure; bars of the arms if there is none, or if no trial finished."""
    view = view_of(data) if len(finished(data.results)) else None
    own = None if view is None else view.figure(data, table)
    return own or arms_figure(table, data.results, data.study, data.published, data.scale)


def study_verdict(data: StudyData) -> Verdict:
    """The verdict on the study's expectation, including what its view adds."""
    view, compared = view_of(data), compared_arms(data)
    own = OwnWords() if view is None else view.words(data, compared)
    return verdict(data.results, data.study, compared, own, data.spread)


def study_findings(data: StudyData) -> list[Verdict]:
    """What the study expects, each judged for itself; see `study_verdict` for all of it together."""
    view, compared = view_of(data), compared_arms(data)
    own = OwnWords() if view is None else view.words(data, compared)
    return judgments(data.results, data.study, compared, own, data.spread)


def all_comparisons(studies: Iterable[StudyData]) -> dict[str, str]:
    """The table of every comparison of these studies, by file name."""
    return comparison_files({data.study.name: (data.study, compared_arms(data)) for data in studies})


def table_files(data: StudyData) -> dict[str, str]:
    """The study's tables by file name: Markdown for readers, unrounded CSV, LaTeX for a paper."""
    table, columns, name = study_table(data), own_columns(data), data.study.name
    quality = quality_numbers(data.study, data.records_by_arm)
    judged = study_verdict(data)
    markdown = render_markdown(
        table,
        data.study,
        scale=data.scale,
        verdict=judged.text,
        gap=gap_in_words(compared_arms(data)),
        published=data.published,
        own_columns=columns,
    )
    statuses = set(table.get("published_status", ()))
    legend = "; ".join(f"{status} = {meaning}" for status, meaning in STATUS_MEANINGS.items() if status in statuses)
    sentences = [
        data.study.question,
        data.scale,
        reading_note(table),
        f"Status of the published AP: {legend}." if legend else "",
    ]
    latex = latex_table(
        reader_table(table, data.study, columns),
        caption=study_caption(name.replace("_", " "), sentences),
        label=f"tab:{name}",
    )
    return {
        f"{name}.md": "\n".join(part for part in (markdown, quality_section(data.study, quality)) if part),
        f"{name}.csv": table_csv(table.join(quality)),
        f"{name}.tex": latex,
    }
