"""The table of statistics: a row per statistic, a column per data set.

`known.csv` has what was measured on these sets; only numbers of them are part of the project:

- photos: 443 photos of COCO (343 of train2017, 100 of val2017, all 80 classes; annotations CC BY 4.0), scaled to a
  longer side of at most 512 px, the 10 lowest rows of each file ignored; recipe `shapes`: longer side 160 px
- photos_800: the same photos, recipe `coco_r50_1x`: short side 800 px
- shapes: training and validation images of the generated set `shapes`, recipe `shapes`
- scenes: the first 480 training and all validation images of the generated set `scenes`, recipe `shapes`
"""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

from core.files.atomic import replaced
from core.files.json_file import read_utf8

KNOWN = Path(__file__).with_name("known.csv")
DIGITS = 4
Table = dict[str, dict[str, float]]  # by statistic, then by data set


def read_table(path: Path = KNOWN) -> Table:
    """Read a table.

    Raises:
        ValueError: if it cannot be read or is malformed; names file and line.
    """
    rows = list(csv.reader(io.StringIO(read_utf8(path))))
    if not rows or rows[0][:1] != ["statistic"]:
        raise ValueError(f"{path}: expected a table whose first column is 'statistic'")
    table: Table = {}
    for number, row in enumerate(rows[1:], start=2):
        try:
            table[row[0]] = dict(zip(rows[0][1:], map(float, row[1:]), strict=True))
        except (ValueError, IndexError) as error:
            wanted = f"a name and {len(rows[0]) - 1} numbers"
            raise ValueError(f"{path}, line {number}: found {','.join(row)}, expected {wanted}") from error
    return table


def with_column(table: Table, name: str, values: Mapping[str, float]) -> Table:
    """The table with one more column, or another in its place: the statistics of `values`, in their order."""
    others = [other for other in next(iter(table.values()), {}) if other != name]
    empty = dict.fromkeys(others, math.nan)
    return {
        statistic: {other: table.get(statistic, empty)[other] for other in others} | {name: value}
        for statistic, value in values.items()
    }


def write_table(table: Table, path: Path) -> None:
    columns = list(next(iter(table.values())))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["statistic", *columns])
    writer.writerows([name, *(f"{row[column]:.{DIGITS}f}" for column in columns)] for name, row in table.items())
    with replaced(path) as partial:
        partial.write_text(text.getvalue())


def markdown(table: Table) -> str:
    """The table to read: aligned as plain text, too."""
    columns = list(next(iter(table.values())))
    lines = [["statistic", *columns], *([name, *(shown(row[c]) for c in columns)] for name, row in table.items())]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in (aligned[0], rule, *aligned[1:]))


def shown(value: float) -> str:
    """Three digits or more, `-` for a number that is not there."""
    return "-" if math.isnan(value) else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
