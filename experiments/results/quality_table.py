"""The second table of a study: how good its masks are apart from detection, one row a trial."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.files.atomic import write_text
from core.files.json_file import read_utf8
from core.record import DIGITS, QUALITY, TRIAL_COLUMNS, Record, spreadsheet_text

QUALITY_CSV = "quality.csv"


def write_quality(folder: Path, records: Iterable[Record]) -> None:
    """Write `quality.csv` to the folder of a study's results: QUALITY of the trials that finished, in this order.

    A cell is empty where there was nothing to measure, or the record lacks the metric.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*TRIAL_COLUMNS, *QUALITY])
    for record in records:
        if record.status == "ok":
            trial = [spreadsheet_text(str(value)) for value in (record.study, record.arm, record.seed, record.key)]
            values = [record.metrics.get(name) for name in QUALITY]
            writer.writerow([*trial, *("" if value is None else round(value, DIGITS) for value in values)])
    write_text(folder / QUALITY_CSV, text.getvalue())


def order_of_rows(folder: Path, records: Mapping[Path, Record]) -> list[Record]:
    """The records of a study in the order of the rows of `<study>.csv` beside its folder, others after them.

    Raises:
        ValueError: if that table cannot be read; names it.
    """
    rows = csv.DictReader(io.StringIO(read_utf8(folder.with_name(f"{folder.name}.csv"))))
    places = {row.get("trial_key"): place for place, row in enumerate(rows)}
    return sorted(records.values(), key=lambda record: places.get(record.key, len(places)))
