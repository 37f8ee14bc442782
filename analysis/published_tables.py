"""The paper's comparisons as tables, from the published numbers, with ours beside them where there are any.

`python -m analysis.published_tables` writes `results/tables/{main,voc,zoo,rivals}.{md,csv,tex}`. Of ours it takes the
arms `both` and `full` of `results/loss_terms.csv`, if that study has run.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from analysis.files import write_text
from analysis.labels import arm_label
from analysis.latex import latex_table
from analysis.published import STATUS_MEANINGS, read_published
from analysis.statistics import summarize_arm
from analysis.study_data import StudyData, read_study_data
from analysis.tables import markdown_table, number

HEADERS = {
    "mask_AP": "mask AP",
    "mask_AP50": "AP50",
    "mask_AP75": "AP75",
    "mask_APs": "APs",
    "mask_APm": "APm",
    "mask_APl": "APl",
    "box_AP": "box AP",
}
OURS_STUDY, OUR_ARMS = "loss_terms", {"both": "ours, BoxInst (boxes)", "full": "ours, CondInst (masks)"}
READING = "AP in percent; the letter behind a number says how sure it is."


@dataclass(frozen=True)
class Comparison:
    """`ours` names the recipes whose results stand in the table: those on VOC, all others, or none."""

    title: str
    text: str
    metrics: tuple[str, ...]
    ours: Literal["voc", "others", "none"] = "none"


COMPARISONS = {
    "main": Comparison(
        "Main comparison",
        "Mask- and box-supervised methods as the paper compares them on COCO.",
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
        "What the released models of several implementations reach. One recipe spreads over implementations by about "
        "0.9 mask AP: a reproduction can be expected to differ by as much.",
        ("box_AP", "mask_AP"),
    ),
    "rivals": Comparison(
        "Rivals",
        "Methods that came before and after, and methods for few masks. Backbones and schedules differ; a method's own "
        "best is no fair comparison with another's.",
        ("mask_AP", "mask_AP50", "mask_AP75", "mask_APs"),
    ),
}


def published_rows(published: pd.DataFrame, name: str) -> pd.DataFrame:
    """One row for each (row, split) of a table, with `<metric>` and `<metric>_status` in columns."""
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


def our_rows(data: StudyData | None, comparison: Comparison) -> pd.DataFrame:
    """Our BoxInst and CondInst in the same columns, status `ours`; empty if they ran on data of another table."""
    if data is None or data.config is None:
        return pd.DataFrame()
    if comparison.ours != ("voc" if str(data.config["name"]).startswith("voc") else "others"):
        return pd.DataFrame()
    rows = []
    for arm, method in OUR_ARMS.items():
        if arm not in data.study.arms:
            continue
        summaries = {metric: summarize_arm(data.results, arm, metric) for metric in comparison.metrics}
        line = {"row": f"ours_{arm}", "method": f"{method}: {arm_label(arm)}"}
        line["backbone"] = f"{data.config['model']['backbone']['name']}"
        line["schedule"] = _schedule(data.config["training"])
        line["split"] = f"{Path(data.config['data']['root']).name}, validation"
        for metric, summary in summaries.items():
            line[metric], line[f"{metric}_status"] = summary.mean, "ours"
            line[f"{metric}_sd"] = summary.sd
        line["n"] = summaries["mask_AP"].n
        rows.append(line)
    return pd.DataFrame(rows)


def _schedule(training: dict[str, int | None]) -> str:
    return f"{training['epochs']} epochs" if training.get("epochs") else f"{training['steps']} steps"


def reader_cells(rows: pd.DataFrame, ours: pd.DataFrame, metrics: tuple[str, ...]) -> pd.DataFrame:
    """The table as text: `33.2 V`, ours as `52.1 ± 1.1`."""
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


def table_files(name: str, published: pd.DataFrame, data: StudyData | None) -> dict[str, str]:
    """One comparison by file name, as Markdown, CSV and LaTeX."""
    comparison = COMPARISONS[name]
    rows, ours = published_rows(published, name), our_rows(data, comparison)
    cells = reader_cells(rows, ours, comparison.metrics)
    used = {status for metric in comparison.metrics for status in rows.get(f"{metric}_status", pd.Series()).dropna()}
    legend = "; ".join(f"{status} = {meaning}" for status, meaning in STATUS_MEANINGS.items() if status in used)
    scale = ""
    if len(ours):
        seeds = " to ".join(map(str, sorted(set(ours["n"]))))
        scale = f"Ours ({seeds} seeds, ± standard deviation), {_not_comparable(data)}: {data.scale}"
    elif comparison.ours != "none":
        scale = "Ours: none, the study has not run on this data."
    lines = [
        f"# {comparison.title}",
        "",
        comparison.text,
        "",
        markdown_table(list(cells), cells.to_numpy().tolist(), left=4),
        "",
    ]
    lines += [f"{READING} {legend}.", ""] + ([scale, ""] if scale else [])
    lines += ["Sources:", "", *_sources(published[published["table"] == name]), "", "Remarks:", "", *_remarks(rows)]
    caption = " ".join([f"{comparison.title}.", comparison.text, f"{READING} {legend}.", scale]).strip()
    both = pd.concat([rows, ours], ignore_index=True)
    return {
        f"{name}.md": "\n".join(lines) + "\n",
        f"{name}.csv": both.to_csv(index=False, float_format="%.6g", lineterminator="\n"),
        f"{name}.tex": latex_table(cells, caption=caption, label=f"tab:{name}", leave_out=(), left=4),
    }


def _not_comparable(data: StudyData) -> str:
    name = Path(data.config["data"]["root"]).name
    if str(data.config["name"]).startswith(("coco", "voc")):
        return "our run of this setting"
    return "on generated shapes, not comparable" if name == "shapes" else f"on `{name}`, not comparable"


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


def comparison_files(results_folder: Path, study_files: Path) -> dict[str, str]:
    """All comparisons by file name.

    Raises:
        ValueError: if the published numbers or the results of `loss_terms` are malformed.
    """
    published = read_published()
    ran = (results_folder / f"{OURS_STUDY}.csv").exists()
    data = read_study_data(study_files / f"{OURS_STUDY}.yaml", results_folder) if ran else None
    files: dict[str, str] = {}
    for name in COMPARISONS:
        files |= table_files(name, published, data)
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the comparisons; 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m analysis.published_tables", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="what the pipeline wrote")
    parser.add_argument(
        "--study-files", type=Path, default=Path("experiments/studies"), help="folder of the study files"
    )
    options = parser.parse_args(arguments)
    try:
        files = comparison_files(options.results, options.study_files)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, text in files.items():
        write_text(options.results / "tables" / name, text)
        print(f"Written: {options.results / 'tables' / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
