"""The paper's comparisons as tables: the published numbers, and ours where they exist.

`python -m analysis.published_tables` writes `results/tables/published_{main,voc,zoo,rivals}.{md,csv,tex}`. Our rows are
the arms `both` and `full` of the study `loss_terms`, and every arm of `main` and `voc`, if these studies were run.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from analysis.plain_text import table_csv
from analysis.published import STATUS_MEANINGS, network_name, read_published, split_of
from analysis.results import study_names
from analysis.scale import beside_published, training_length
from analysis.statistics import summarize_arm
from analysis.study import add_choice, chosen_studies
from analysis.study_data import StudyData, read_study_data
from analysis.tables.latex import latex_table
from analysis.tables.study_table import markdown_table, number
from core.compute.command import run_command
from core.files.atomic import write_text

HEADERS = {
    "mask_AP": "mask AP",
    "mask_AP50": "AP50",
    "mask_AP75": "AP75",
    "mask_APs": "APs",
    "mask_APm": "APm",
    "mask_APl": "APl",
    "box_AP": "box AP",
}
PAIR_STUDY, PAIR = "loss_terms", {"both": "ours, BoxInst (boxes)", "full": "ours, CondInst (masks)"}
OUR_STUDIES = (PAIR_STUDY, "main", "voc")
VOC = "VOC 2012 val"  # its name in published.csv
READING = "AP in percent; the letter after a number is its status."


@dataclass(frozen=True)
class Comparison:
    """`ours` selects which of our results the table shows: those on VOC, those on all other data, or none."""

    title: str
    text: str
    metrics: tuple[str, ...]
    ours: Literal["voc", "others", "none"] = "none"


COMPARISONS = {
    "main": Comparison(
        "Main comparison",
        "Mask- and box-supervised methods on COCO, as compared in the paper.",
        ("mask_AP", "mask_AP50", "mask_AP75", "mask_APs", "mask_APm", "mask_APl"),
        "others",
    ),
    "voc": Comparison(
        "Pascal VOC 2012",
        "Trained on VOC 2012 with the SBD annotations, COCO-style AP on the validation images.",
        ("mask_AP", "mask_AP50", "mask_AP75"),
        "voc",
    ),
    "zoo": Comparison(
        "Released models",
        "Results of the released models of several implementations. Implementations of one recipe differ by up to 1.1 "
        "mask AP, so a reproduction may differ by as much.",
        ("box_AP", "mask_AP"),
    ),
    "rivals": Comparison(
        "Related methods",
        "Earlier and later methods, and methods for few masks. Backbones and schedules differ, so comparing the best "
        "numbers of two methods is not fair.",
        ("mask_AP", "mask_AP50", "mask_AP75", "mask_APs"),
    ),
}


def published_rows(published: pd.DataFrame, name: str) -> pd.DataFrame:
    """One row per (row, split) of a table, with columns `<metric>` and `<metric>_status`."""
    own = published[published["table"] == name]
    rows = []
    for (row, split), numbers in own.groupby(["row", "split"], sort=False):
        first = numbers.iloc[0]
        line = {"row": row, "method": first["method"], "backbone": first["backbone"], "schedule": first["schedule"]}
        line["split"] = split
        for entry in numbers.itertuples():
            line[entry.metric], line[f"{entry.metric}_status"] = entry.value, entry.status
        line["sources"] = "; ".join(dict.fromkeys(numbers["source"]))
        line["notes"] = "; ".join(dict.fromkeys(note for note in numbers["note"] if note))
        rows.append(line)
    return pd.DataFrame(rows)


def our_rows(data: StudyData, comparison: Comparison) -> pd.DataFrame:
    """The arms of one of our studies in the same columns, with status `ours`; empty if their data belong elsewhere."""
    rows = []
    for arm, config in data.configs.items():
        summaries = {metric: summarize_arm(data.results, arm, metric) for metric in comparison.metrics}
        on_voc = split_of(config) == VOC
        if not summaries["mask_AP"].n or comparison.ours != ("voc" if on_voc else "others"):
            continue
        if data.study.name == PAIR_STUDY and arm not in PAIR:
            continue
        method = PAIR[arm] if data.study.name == PAIR_STUDY else "ours"
        line = {"row": f"ours_{data.study.name}_{arm}", "method": f"{method}: {data.study.label(arm)}"}
        line["backbone"] = network_name(config["model"]) or config["model"]["backbone"]["name"]
        line["schedule"] = training_length(config["training"])
        line["split"] = f"{Path(config['data']['root']).name}, validation"
        for metric, summary in summaries.items():
            line[metric], line[f"{metric}_status"] = summary.mean, "ours"
            line[f"{metric}_sd"] = summary.sd
        line["n"] = summaries["mask_AP"].n
        rows.append(line)
    return pd.DataFrame(rows)


def _our_scale(data: StudyData, ours: pd.DataFrame) -> str:
    """The number of seeds of these rows, whether they are comparable with published numbers, and their scale."""
    seeds = " to ".join(map(str, sorted(set(ours["n"]))))
    beside = beside_published(list(data.configs.values()), data.published)
    return f"Ours, {data.study.name} ({seeds} seeds, ± standard deviation), {beside}: {data.scale}"


def reader_cells(rows: pd.DataFrame, ours: pd.DataFrame, metrics: tuple[str, ...]) -> pd.DataFrame:
    """The table as text: `33.2 V`, or `52.1 ± 1.1` for ours."""
    lines = []
    for row in [*rows.to_dict("records"), *ours.to_dict("records")]:
        line = {column: row[column] or "-" for column in ("method", "backbone", "schedule", "split")}
        for metric in metrics:
            line[HEADERS[metric]] = _cell(row, metric)
        lines.append(line)
    return pd.DataFrame(lines)


def _cell(row: dict[str, object], metric: str) -> str:
    value, status, sd = row.get(metric), row.get(f"{metric}_status"), row.get(f"{metric}_sd")
    if value is None or pd.isna(value):
        return "-"
    if status == "ours":
        return number(value) if sd is None or pd.isna(sd) else f"{number(value)} ± {sd:.1f}"
    return f"{number(value)} {status}"


def table_files(name: str, published: pd.DataFrame, studies: Sequence[StudyData]) -> dict[str, str]:
    """One comparison as Markdown, CSV and LaTeX, by file name; the prefix avoids the names of studies' tables."""
    comparison, stem = COMPARISONS[name], f"published_{name}"
    rows = published_rows(published, name)
    by_study = {data.study.name: our_rows(data, comparison) for data in studies}
    ours = pd.concat(by_study.values(), ignore_index=True) if by_study else pd.DataFrame()
    scales = [_our_scale(data, by_study[data.study.name]) for data in studies if len(by_study[data.study.name])]
    if not scales and comparison.ours != "none":
        scales = ["Ours: none; no study was run on this data."]
    cells = reader_cells(rows, ours, comparison.metrics)
    used = {status for metric in comparison.metrics for status in rows.get(f"{metric}_status", pd.Series()).dropna()}
    legend = "; ".join(f"{status} = {meaning}" for status, meaning in STATUS_MEANINGS.items() if status in used)
    lines = [
        f"# {comparison.title}",
        "",
        comparison.text,
        "",
        markdown_table(list(cells), cells.to_numpy().tolist(), left=4),
        "",
    ]
    lines += [f"{READING} {legend}.", ""] + [line for scale in scales for line in (scale, "")]
    lines += ["Sources:", "", *_sources(published[published["table"] == name]), "", "Remarks:", "", *_remarks(rows)]
    caption = " ".join([f"{comparison.title}.", comparison.text, f"{READING} {legend}.", *scales]).strip()
    both = pd.concat([rows, ours], ignore_index=True)
    return {
        f"{stem}.md": "\n".join(lines) + "\n",
        f"{stem}.csv": table_csv(both, index=False),
        f"{stem}.tex": latex_table(cells, caption=caption, label=f"tab:{stem}", leave_out=(), left=4),
    }


def _sources(numbers: pd.DataFrame) -> list[str]:
    known = numbers[numbers["status"] != "none"]
    return [
        f"- {source}: {'; '.join(dict.fromkeys(f'{_name(row)} ({row.status})' for row in rows.itertuples()))}"
        for source, rows in known.groupby("source", sort=False)
    ]


def _remarks(rows: pd.DataFrame) -> list[str]:
    return [f"- {_name(row)}, {row.split}: {row.notes}" for row in rows.itertuples() if row.notes]


def _name(row: Any) -> str:
    return " ".join(word for word in (row.method, row.backbone, row.schedule) if word)


def comparison_files(results_folder: Path, study_files: Path, chosen: Collection[str] | None = None) -> dict[str, str]:
    """All comparisons by file name, with our results from the chosen studies (default: all).

    Raises:
        ValueError: if the published numbers, or the results of a study shown in the tables, are malformed.
    """
    published = read_published()
    ran = study_names(results_folder, chosen)
    studies = [read_study_data(study_files / f"{name}.yaml", results_folder) for name in OUR_STUDIES if name in ran]
    files: dict[str, str] = {}
    for name in COMPARISONS:
        files |= table_files(name, published, studies)
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the comparisons; exit status 0, or 2 for invalid input."""
    parser = argparse.ArgumentParser(prog="python -m analysis.published_tables", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="output folder of the pipeline")
    add_choice(parser)
    options = parser.parse_args(arguments)

    def work() -> None:
        files = comparison_files(options.results, options.study_files, chosen_studies(options))
        for name, text in files.items():
            write_text(options.results / "tables" / name, text)
            print(f"Written: {options.results / 'tables' / name}")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
