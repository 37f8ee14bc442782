"""How each study is shown: the columns of its own, its main figure, and its tables as files."""

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.figures import arms_figure
from analysis.published import STATUS_MEANINGS
from analysis.results import finished
from analysis.studies.annotation_budget import annotation_times, time_columns, time_figure
from analysis.studies.class_split import category_groups, gain_sentences, split_columns, split_figure
from analysis.studies.color_threshold import threshold_columns, threshold_figure, thresholds
from analysis.studies.mask_ratio import gap_sentences, ratio_arms, ratio_columns, ratio_figure
from analysis.study_data import StudyData
from analysis.tables.latex import latex_table, study_caption
from analysis.tables.study_table import OwnColumns, arm_table, reader_table, reading_note, render_markdown
from analysis.verdict import Verdict, verdict


def own_columns(data: StudyData) -> OwnColumns | None:
    """What the study's table has beside the columns of every study; None for most."""
    match data.study.name:
        case "color_threshold":
            return threshold_columns(data.results, data.study, data.edge_purity)
        case "mask_ratio":
            return ratio_columns(data.results, data.study)
        case "annotation_budget":
            return time_columns(data.results, data.study, data.records, data.cost)
        case "class_split":
            return split_columns(data.results, data.study, data.records_by_arm, data.published)
    return None


def study_table(data: StudyData) -> pd.DataFrame:
    return arm_table(data.results, data.study, data.published, data.configs, own_columns(data))


def main_figure(data: StudyData, table: pd.DataFrame) -> Figure:
    """The study's own plot; bars of the arms where it has none, or where what its plot needs is not in the results."""
    results, study, scale = data.results, data.study, data.scale
    match study.name if len(finished(results)) else "":
        case "color_threshold" if len(thresholds(results)):
            return threshold_figure(table, results, study, data.edge_purity, scale)
        case "mask_ratio" if len(ratio_arms(results)):
            return ratio_figure(table, results, study, scale)
        case "annotation_budget" if len(annotation_times(results, data.records, data.cost)[0]):
            return time_figure(table, results, study, data.records, data.cost, scale)
        case "class_split" if category_groups(data.records_by_arm):
            return split_figure(table, results, study, data.records_by_arm, scale)
    return arms_figure(table, results, study, data.published, scale)


def study_verdict(data: StudyData) -> Verdict:
    """The verdict on the study's expectation, and the sentences that its own question asks for."""
    judged = verdict(data.results, data.study, data.edge_purity, data.spread)
    match data.study.name:
        case "mask_ratio":
            sentences = gap_sentences(data.results)
        case "class_split":
            sentences = gain_sentences(data.results, data.study, data.records_by_arm)
        case _:
            sentences = []
    return replace(judged, text=" ".join([judged.text, *sentences]))


def table_files(data: StudyData) -> dict[str, str]:
    """The study's tables by file name: Markdown for readers, CSV unrounded, LaTeX for a paper."""
    table, columns, name = study_table(data), own_columns(data), data.study.name
    judged = study_verdict(data)
    markdown = render_markdown(
        table, data.study, scale=data.scale, verdict=judged.text, published=data.published, own_columns=columns
    )
    statuses = set(table.get("published_status", ()))
    legend = "; ".join(f"{status} = {meaning}" for status, meaning in STATUS_MEANINGS.items() if status in statuses)
    sentences = [
        data.study.question,
        data.scale,
        reading_note(table),
        f"Status of their AP: {legend}." if legend else "",
    ]
    latex = latex_table(
        reader_table(table, data.study, columns),
        caption=study_caption(name.replace("_", " "), sentences),
        label=f"tab:{name}",
    )
    return {
        f"{name}.md": markdown,
        f"{name}.csv": table.to_csv(float_format="%.6g", lineterminator="\n"),
        f"{name}.tex": latex,
    }
