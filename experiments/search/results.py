"""What a search leaves: its trials from the best on, and the winner as a recipe."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from core.config import Config
from core.config.dotted import leaves
from core.config.file import build_config
from core.config.recipe import load_recipe
from core.files.atomic import write_text
from core.record import DIGITS, Record, spreadsheet_text
from experiments.jobs import Job
from experiments.search.drawn import SearchStudy
from experiments.search.stopped_early import is_stopped_early
from experiments.study import different_fields

NOT_OF_A_RECIPE = ("name", "data.root")


def write_search(found: SearchStudy, jobs: Sequence[Job], records: dict[str, Record], root: Path) -> Path:
    """Write search.csv, search.md and the winner's recipe to `<root>/<name>/`, and say where; returns the recipe.

    Raises:
        ValueError: if no trial finished with a value of the metric.
    """
    name, metric = found.study.name, found.search.metric
    rows = ranked(jobs, records, metric)
    if not rows or rows[0]["outcome"] != "finished" or rows[0][metric] is None:
        raise ValueError(f"search '{name}': no trial finished with a {metric}; see the reasons above")
    folder = root / name
    winner = next(job for job in jobs if job.trial.arm == rows[0]["trial"])
    recipe = folder / f"{name}.yaml"
    title = f"{metric} {rows[0][metric]:.2f}, the best of {len(jobs)} trials, searched on {found.images}"
    write_text(folder / "search.csv", as_csv(rows))
    write_text(folder / "search.md", as_markdown(found, rows))
    heading = f"Winner of the search {name}: {title}."
    write_text(recipe, as_recipe(winner.trial.config, found.recipe, heading, without=found.choose_on))
    print(f"{recipe}: {winner.trial.arm}, {title}; all trials in {folder / 'search.md'}")
    return recipe


def ranked(jobs: Sequence[Job], records: dict[str, Record], metric: str) -> list[dict[str, Any]]:
    """A row per trial: those that finished from the best on, then those stopped early, by their last value."""
    rows = []
    for job in jobs:
        record = records[job.key]
        finished = record.status == "ok"
        outcome = "finished" if finished else "stopped early" if is_stopped_early(record) else "failed"
        values = [numbers[metric] for numbers in record.curves if numbers.get(metric) is not None]
        value = record.metrics.get(metric) if finished else (values or [None])[-1]
        epoch = record.curves[-1]["epoch"] if record.curves else 0
        row = {"trial": job.trial.arm, **job.trial.varied, metric: value, "epochs": epoch, "outcome": outcome}
        rows.append(row | {"trial_key": job.key})
    order = ("finished", "stopped early", "failed")
    worst = float("-inf")
    return sorted(rows, key=lambda row: (order.index(row["outcome"]), -(worst if row[metric] is None else row[metric])))


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([spreadsheet_text(_shown(value, DIGITS)) for value in row.values()] for row in rows)
    return text.getvalue()


def as_markdown(found: SearchStudy, rows: Sequence[dict[str, Any]]) -> str:
    """The table of the trials, with what is to know before its numbers are used."""
    columns = [name for name in rows[0] if name != "trial_key"]
    lines = [
        f"# {found.study.name}: {found.study.question}",
        "",
        f"Searched on {found.images}: {found.search.metric} there chose the first row among "
        f"{len(rows)} trials, each trained once (seed {found.study.seeds[0]}). The best of many trials is partly "
        "luck: do not report its number beside those of a study.",
        "",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
    ]
    lines += [f"| {' | '.join(_shown(row[name], 2) for name in columns)} |" for row in rows]
    if any(row["outcome"] == "stopped early" for row in rows):
        lines += [
            "",
            "Which trials were stopped early also depends on how fast they ran; each value is of its last evaluation.",
        ]
    return "\n".join([*lines, ""])


def as_recipe(config: Config, extended: str, title: str, without: Sequence[str] = ()) -> str:
    """A recipe file with these settings, as differences from another recipe; without the place of the data.

    And without the settings `without`, by dotted names.
    """
    base = build_config(load_recipe(extended), f"recipe {extended}")
    settings = leaves(config.model_dump(mode="json"))
    fields = [field for field in different_fields((base, config)) if field not in (*NOT_OF_A_RECIPE, *without)]
    return f"# {title}\n" + yaml.safe_dump({"extends": extended} | {f: settings[f] for f in fields}, sort_keys=False)


def _shown(value: Any, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}" if isinstance(value, float) and value >= 1 else str(value)
