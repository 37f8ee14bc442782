"""Read the output of the pipeline: one CSV per study, one JSON record per trial."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.study_order import in_order
from core.config.dotted import leaves
from core.config.names import checked_arm, checked_key, checked_name, checked_study
from core.files.json_file import read_utf8
from core.record import METRICS, OUTCOME_COLUMNS, TRIAL_COLUMNS, Record, read_record

COLUMNS = (*TRIAL_COLUMNS, *OUTCOME_COLUMNS)
TEXT_COLUMNS = tuple(column for column in COLUMNS if column not in (*METRICS, "seed"))


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV.

    Raises:
        ValueError: if it cannot be read or is not CSV; names the file.
    """
    try:
        return list(csv.reader(io.StringIO(read_utf8(path), newline="")))
    except csv.Error as error:
        raise ValueError(f"{path}: not valid CSV: {error}") from error


def read_table(path: Path, columns: Sequence[str], **settings: Any) -> pd.DataFrame:
    """A CSV with at least these columns; `settings` are those of `pandas.read_csv`.

    Raises:
        ValueError: if it cannot be read, is not CSV or lacks a column; names the file.
    """
    try:
        table = pd.read_csv(io.StringIO(read_utf8(path), newline=""), **settings)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path}: empty, expected the columns {', '.join(columns)}") from error
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path}: not valid CSV: {error}") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{path}: columns missing: {', '.join(missing)}; found {', '.join(table.columns)}")
    return table


def is_study(path: Path) -> bool:
    """Whether a CSV lists trials, or is a measurement such as the edge purity."""
    return "trial_key" in next(iter(read_rows(path)), [])


def no_results() -> pd.DataFrame:
    """Results without trials."""
    return pd.DataFrame({column: pd.Series(dtype=str if column in TEXT_COLUMNS else float) for column in COLUMNS})


def has_trials(path: Path) -> bool:
    """Whether a study's CSV has rows; if not, the study is not part of the set that was run."""
    return sum(1 for row in read_rows(path) if row) > 1


def study_names(results_folder: Path, chosen: Collection[str] | None = None) -> list[str]:
    """The chosen studies (default: all) that have results, in the order of `analysis.study_order`."""
    names = in_order(path.stem for path in results_folder.glob("*.csv") if is_study(path) and has_trials(path))
    for name in names:
        checked_study(name)
    return [name for name in names if chosen is None or name in chosen]


def read_results(path: str | Path) -> pd.DataFrame:
    """Read the trials of a study in file order; a trial without mask AP is a hole and has a reason.

    APs are in percent; additional columns are the fields that the study varies. Text columns are never NaN.

    Raises:
        ValueError: for a missing file or column, a value that is no number, an AP outside 0..100, two rows with equal
            (arm, seed), rows of another study, or a hole without a reason; names the file and the column.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file; `python -m experiments.run {path.stem}` writes it")
    results = read_table(
        path,
        COLUMNS,
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
        keep_default_na=False,  # an arm may be called `none`
        na_values={column: ["", "nan", "NaN"] for column in (*METRICS, "seed")},
    )
    if results.empty:
        raise ValueError(f"{path}: no trials")
    for column in (*METRICS, "seed"):
        numbers = pd.to_numeric(results[column], errors="coerce")
        wrong = results.loc[numbers.isna() & results[column].notna(), column]
        if len(wrong):
            raise ValueError(f"{path}: column {column}, row {wrong.index[0] + 2}: '{wrong.iloc[0]}' is not a number")
        results[column] = numbers
    if results["seed"].isna().any():
        raise ValueError(f"{path}: column seed, row {results['seed'].isna().idxmax() + 2}: empty")
    wrong = results.loc[~results["seed"].between(0, 2**32 - 1) | (results["seed"] % 1 != 0), "seed"]
    if len(wrong):
        raise ValueError(
            f"{path}: column seed, row {wrong.index[0] + 2}: {wrong.iloc[0]:g}, expected an integer from 0"
        )
    results["seed"] = results["seed"].astype(int)
    _check(results, path)
    return results


def _check(results: pd.DataFrame, path: Path) -> None:
    for column in (metric for metric in METRICS if "_AP" in metric):
        wrong = results[(results[column] < 0) | (results[column] > 100)]
        if len(wrong):
            raise ValueError(
                f"{path}: column {column}, row {wrong.index[0] + 2}: {wrong[column].iloc[0]} is outside 0..100 percent"
            )
    others = set(results["study"]) - {path.stem}
    if others:
        raise ValueError(f"{path}: column study: rows of {sorted(others)}, expected only '{path.stem}'")
    for column, check in (("arm", checked_arm), ("trial_key", checked_key)):
        for name in results[column]:
            try:
                check(name)
            except ValueError as error:
                raise ValueError(f"{path}: column {column}: {error}") from None
    twice = results[results.duplicated(["arm", "seed"])]
    if len(twice):
        raise ValueError(f"{path}: more than one row for arm '{twice['arm'].iloc[0]}', seed {twice['seed'].iloc[0]}")
    silent = results[results["mask_AP"].isna() & (results["reason"] == "")]
    if len(silent):
        row = silent.iloc[0]
        raise ValueError(f"{path}: arm '{row['arm']}', seed {row['seed']}: no mask_AP and no reason")


def finished(results: pd.DataFrame) -> pd.DataFrame:
    return results[results["mask_AP"].notna()]


def holes(results: pd.DataFrame) -> pd.DataFrame:
    return results[results["mask_AP"].isna()]


def read_records(results: pd.DataFrame, folder: str | Path) -> dict[str, Record]:
    """Read the records of the trials from `folder/<trial_key>.json`, by key; a failed trial may have none.

    Empty if the folder does not exist: a CSV may be stored without its records.

    Raises:
        ValueError: if the folder exists but lacks the record of a finished trial, or a record is invalid.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return {}
    expected = set(finished(results)["trial_key"])
    paths = {key: folder / f"{key}.json" for key in results["trial_key"]}
    return {key: read_record(path) for key, path in paths.items() if key in expected or path.exists()}


def recipe_of(records: Iterable[Record]) -> str | None:
    """The recipe of the records, which is the name of the reference to compare with; None without records.

    If the arms are recipes themselves, it is the name of their common data folder.

    Raises:
        ValueError: if the trials come from several recipes with different data.
    """
    configs = [record.config for record in records]
    names = sorted({str(config.get("name")) for config in configs})
    if len(names) < 2:
        return checked_name("recipe", names[0]) if names else None
    folders = sorted({Path(str(leaves(config).get("data.root", ""))).name for config in configs})
    if len(folders) > 1 or not folders[0]:
        raise ValueError(f"trials of one study use several recipes, {', '.join(names)}, with different data folders")
    return checked_name("set", folders[0])
