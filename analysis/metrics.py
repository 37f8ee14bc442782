"""The numbers of a study as files that DVC compares between commits: metrics and plot data.

`dvc metrics diff` reads `metrics/<study>.json`. `dvc plots` draws `plots/data/<study>_arms.csv` (template
`bar_horizontal`, x `mask_AP`, y `arm`) and `plots/data/<study>_curves.csv` (x `epoch`, y `mask_AP` or `loss_total`):
the template `arms` in `.dvc/plots` draws one line per arm, DVC's own `linear` a single line. Equal results give equal
bytes.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.statistics import summarize, summarize_arm
from analysis.study import Study
from analysis.study_data import StudyData
from core.record import DIGITS, Record, spreadsheet_text

CURVES = {"loss_total": "loss/total", "mask_AP": "mask_AP"}  # column -> its name in a record


def metric_files(data: StudyData) -> dict[str, str]:
    """The files, by path relative to the results folder."""
    name = data.study.name
    return {
        f"metrics/{name}.json": metrics_json(data.results, data.study),
        f"plots/data/{name}_arms.csv": arms_csv(data.results, data.study),
        f"plots/data/{name}_curves.csv": curves_csv(data.records_by_arm, data.study),
    }


def metrics_json(results: pd.DataFrame, study: Study) -> str:
    """`{arm: {mask_AP, low, high, seeds}}` in the study's order; an arm without results has no entry.

    `low` and `high` bound the 95 % interval of the mean; one seed has none.
    """
    metrics = {}
    for arm in study.arms:
        summary = summarize_arm(results, arm, "mask_AP")
        if not summary.n:
            continue
        metrics[arm] = {"mask_AP": _rounded(summary.mean)}
        if summary.interval is not None:
            metrics[arm] |= {"low": _rounded(summary.interval[0]), "high": _rounded(summary.interval[1])}
        metrics[arm]["seeds"] = summary.n
    return json.dumps(metrics, indent=1, allow_nan=False) + "\n"


def arms_csv(results: pd.DataFrame, study: Study) -> str:
    """Means over seeds, one row per arm with results, in the study's order."""
    rows = []
    for arm in study.arms:
        means = [summarize_arm(results, arm, metric).mean for metric in ("mask_AP", "box_AP")]
        if not math.isnan(means[0]):
            rows.append([study.label(arm), *map(_cell, means)])
    return _csv(["arm", "mask_AP", "box_AP"], rows)


def curves_csv(records: Mapping[str, Sequence[Record]], study: Study) -> str:
    """Means over seeds, one row per arm and epoch; empty where an epoch was not evaluated."""
    rows = []
    for arm in study.arms:
        epochs = [epoch for record in records.get(arm, ()) for epoch in record.curves]
        for number in sorted({epoch["epoch"] for epoch in epochs}):
            of_seeds = [epoch for epoch in epochs if epoch["epoch"] == number]
            means = [summarize([_value(epoch.get(name)) for epoch in of_seeds]).mean for name in CURVES.values()]
            rows.append([study.label(arm), number, *map(_cell, means)])
    return _csv(["arm", "epoch", *CURVES], rows)


def _value(number: float | None) -> float:
    return float("nan") if number is None else float(number)


def _rounded(number: float) -> float:
    return round(number, DIGITS)


def _cell(number: float) -> str:
    return str(_rounded(number)) if math.isfinite(number) else ""


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *([spreadsheet_text(str(cell)) for cell in row] for row in rows)])
    return text.getvalue()
