"""What the kept detections of a study's trials give beyond metrics: `python -m experiments.from_detections loss_terms`.

The second command of DVC's stages `study@...`. It writes two tables to `results/<study>/`, one row for each finished
trial that kept its detections (`core.result_tables`):

- `mask_ious.csv`: how the IoUs of matched masks are spread. The figure `<study>_ious` shows it.
- `resampled_ap.csv`: mask AP on samples of as many validation images, drawn with replacement, the same for every trial.
  The analysis takes from it how far a difference depends on the images. Not written for a study with one seed, whose
  differences have no interval.
"""

import argparse
import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from core.compute.command import run_command
from core.config.names import checked_study
from core.files.atomic import write_text
from core.record import DIGITS, Record
from core.result_tables import ALL_IMAGES, BINS, MASK_IOUS, RESAMPLED_AP, TRIAL_KEY, VALIDATION_FILE
from experiments.results.files import RESULTS

WHY_NOT = {
    MASK_IOUS: "no trial has both a mask AP and kept detections",
    RESAMPLED_AP: "no arm has two seeds with detections",
}
RESAMPLED_COLUMNS = (TRIAL_KEY, VALIDATION_FILE, ALL_IMAGES)  # before the draws

Rows = list[list[str]]


def write_tables(name: str, root: Path, store: Path) -> dict[str, int]:
    """Write the tables of a study that have a row; returns their numbers of trials.

    Raises:
        ValueError: if a record, the annotation file or detections cannot be read; names the file.
    """
    from core.record import read_record
    from experiments.results.quality_table import order_of_rows

    folder = root / name
    records = {path: read_record(path) for path in sorted((folder / "trials").glob("*.json"))}
    finished = [record for record in order_of_rows(folder, records) if record.status == "ok"]
    has_seeds = max(Counter(record.arm for record in finished).values(), default=0) > 1
    ious: Rows = []
    resampled: Rows = []
    files: dict = {}  # annotation files, each read once
    for record in finished:
        _add_rows(record, store / record.key, files, ious, resampled if has_seeds else None)
    num_draws = len(resampled[0]) - len(RESAMPLED_COLUMNS) if resampled else 0
    draws = (f"draw_{index}" for index in range(num_draws))
    tables = {
        MASK_IOUS: ([TRIAL_KEY, *BINS], ious),
        RESAMPLED_AP: ([*RESAMPLED_COLUMNS, *draws], resampled),
    }
    for file, (columns, rows) in tables.items():
        if rows:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([columns, *rows])
            write_text(folder / file, text.getvalue())
    return {file: len(rows) for file, (_, rows) in tables.items()}


def _add_rows(record: Record, folder: Path, files: dict, ious: Rows, resampled: Rows | None) -> None:
    """Add the rows of a trial; none if it kept no detections, or its validation images have no masks."""
    import numpy as np

    from core.evaluation.kept_detections import DETECTIONS, read_detections
    from core.evaluation.mask_quality import matched_mask_ious
    from core.evaluation.resampled_ap import image_draws, mask_matches, resampled_ap
    from experiments.rescore import annotation_file

    mask_ap = record.metrics.get("mask_AP")
    if DETECTIONS not in record.files or mask_ap is None:
        return
    file = annotation_file(record, files)
    image_ids = [image.image_id for image in file.images]
    within = {"image_ids": image_ids, "category_ids": file.category_ids}
    box_results, mask_results = read_detections(folder / DETECTIONS)
    of_masks = matched_mask_ious(file.content, box_results, mask_results, **within)
    counts, _ = np.histogram(of_masks, bins=len(BINS), range=(0, 1))
    ious.append([record.key, *(str(count) for count in counts)])
    if resampled is not None:
        aps = resampled_ap(mask_matches(file.content, mask_results, **within), image_draws(len(image_ids)))
        rounded = (str(round(float(ap), DIGITS)) for ap in (mask_ap, *aps))
        resampled.append([record.key, (record.validation_file or "")[:16], *rounded])


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.from_detections",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", metavar="STUDY", help="name of a study that has results")
    which.add_argument("--study", help="the same, as DVC passes it")
    parser.add_argument("--results", type=Path, default=RESULTS, help="results of studies (default: %(default)s)")
    parser.add_argument("--store", type=Path, default=Path("store"), help="finished trials (default: %(default)s)")
    arguments = parser.parse_args(words)

    def work() -> None:
        name = checked_study(arguments.study if arguments.name is None else arguments.name)
        for file, count in write_tables(name, arguments.results, arguments.store).items():
            place = arguments.results / name / file
            print(f"{place}: {count} trials" if count else f"{place}: not written, {WHY_NOT[file]}")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
