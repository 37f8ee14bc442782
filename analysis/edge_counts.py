"""Read results/edge_purity.csv: counts of edges per neighborhood and color threshold."""

from pathlib import Path

import pandas as pd

from analysis.results import read_table

COUNTS = ("edges", "kept", "pure", "different", "different_kept")
KEY = ("neighborhood_size", "neighborhood_dilation", "color_threshold")
RATIOS = {"share_kept": ("kept", "edges"), "purity": ("pure", "kept")}  # numerator and denominator
ORIGIN = ("num_images", "num_instances", "data_digest", "short_side", "color_temperature")
COLUMNS = (*KEY, *COUNTS, *RATIOS, *ORIGIN)
ROUNDING = 1e-6  # shares have six digits in the file


def read_edge_purity(path: str | Path) -> pd.DataFrame:
    """Read the counts, one row per neighborhood and threshold; `pure` edges are a subset of the `kept` ones.

    Raises:
        ValueError: for a missing file or column, a duplicate row, or inconsistent numbers.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file; `python -m experiments.edge_purity` writes it")
    frame = read_table(path, COLUMNS, dtype={"data_digest": str})
    if frame.empty:
        raise ValueError(f"{path}: no rows")
    for column in KEY + COUNTS:
        if not pd.api.types.is_numeric_dtype(frame[column]) or frame[column].isna().any():
            raise ValueError(f"{path}: column {column}: expected a number in every row")
    twice = frame[frame.duplicated(list(KEY))]
    if len(twice):
        raise ValueError(f"{path}: row {twice.index[0] + 2}: more than one row for {dict(twice.iloc[0][list(KEY)])}")
    contradicting = frame["pure"] + frame["different_kept"] != frame["kept"]
    contradicting |= (frame["kept"] > frame["edges"]) | (frame["different_kept"] > frame["different"])
    if contradicting.any():
        raise ValueError(
            f"{path}: row {contradicting.idxmax() + 2}: expected pure + different_kept = kept <= edges and "
            "different_kept <= different"
        )
    for column, (part, whole) in RATIOS.items():
        given = frame[part] / frame[whole].where(frame[whole] > 0)  # NaN where the denominator is 0
        stated = pd.to_numeric(frame[column], errors="coerce")
        wrong = ((stated - given).abs() > ROUNDING) | (stated.isna() != given.isna())
        if wrong.any():
            row = wrong.idxmax()
            raise ValueError(
                f"{path}: row {row + 2}: {column} is {frame[column][row]}, but {part} / {whole} is {given[row]:.6f}"
            )
    return frame.sort_values(list(KEY), ignore_index=True)
