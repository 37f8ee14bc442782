"""The second table of a study: how good its masks are apart from detection, from the metrics in the trials' records."""

import math
from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from analysis.statistics import Summary, summarize
from analysis.study import Study
from analysis.tables.study_table import markdown_table, number, spread
from core.record import Record

NOTE = (
    "Masks apart from detection. Boundary AP goes by the IoU of boundaries, within 2 % of the image's diagonal; the "
    "rest is of detections whose box is right (IoU at least 0.5). IoU: of their masks with the true ones, mean and "
    "median. Filled: masks that cover 95 % of their box; so do {true} of the true masks there. Parts: of a mask that "
    "do not touch. Training masks: IoU of pseudo masks with the true ones. All but parts in percent."
)
COLUMNS = {  # column: metric of a record, factor, digits
    "boundary AP": ("boundary_AP", 1, 1),
    "boundary AP75": ("boundary_AP75", 1, 1),
    "IoU": ("mask_iou", 100, 1),
    "median IoU": ("mask_iou_median", 100, 1),
    "filled": ("filled_box_share", 100, 1),
    "parts": ("mask_fragments", 1, 2),
    "training masks": ("pseudo_mask_iou", 100, 1),
}
TRUE = "true_filled_box_share"


def quality_numbers(study: Study, records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Mean over seeds of each metric and `<metric>_sd`, unrounded, one row per arm; `records` are by arm.

    Without columns if no record has these metrics: before they were measured, none had.
    """
    rows: dict[str, dict[str, float]] = {arm: {} for arm in study.arms}
    for arm, metric in product(study.arms, [*(name for name, _, _ in COLUMNS.values()), TRUE]):
        values = [record.metrics.get(metric) for record in records.get(arm, ())]
        found = summarize([math.nan if value is None else value for value in values])
        rows[arm] |= {metric: found.mean, f"{metric}_sd": found.sd}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm").dropna(axis="columns", how="all")


def quality_section(study: Study, numbers: pd.DataFrame) -> str:
    """A Markdown table of `quality_numbers`, mean ± sd, and what its columns are; empty without any number."""
    rows = []
    for arm, row in numbers.dropna(how="all").iterrows():
        cells = []
        for metric, factor, digits in COLUMNS.values():
            mean, sd = (factor * row.get(name, math.nan) for name in (metric, f"{metric}_sd"))
            cells.append(spread(Summary(mean, sd, 1, None)) if digits == 1 else number(mean, digits))
        rows.append([study.label(arm), *cells])
    if not rows:
        return ""
    true = number(100 * numbers[TRUE].mean(), 0, " %") if TRUE in numbers else "an unknown share"
    return "\n".join(
        ["## Quality of masks", "", markdown_table(["arm", *COLUMNS], rows), "", NOTE.format(true=true), ""]
    )
