"""Mask AP of a study's trials on resampled validation images: `python -m experiments.resampled_ap loss_terms`.

The second command of DVC's stages `study@...`. It writes `results/<study>/resampled_ap.csv`, one row for each finished
trial that kept its detections: its mask AP on all images, then on samples of as many images drawn with replacement, the
same for every trial. The analysis takes from it how far a difference depends on the images. Nothing is written for a
study with one seed: its differences have no interval.
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
from experiments.results.files import RESULTS

FILE = "resampled_ap.csv"
COLUMNS = ("trial_key", "validation_file", "all_images")  # before the draws


def resample_study(name: str, root: Path, store: Path) -> int:
    """Write the file of a study; returns its number of trials, 0 if there is none to write.

    Raises:
        ValueError: if a record, the annotation file or detections cannot be read; names the file.
    """
    from core.record import read_record
    from experiments.results.quality_table import order_of_rows

    folder = root / name
    records = {path: read_record(path) for path in sorted((folder / "trials").glob("*.json"))}
    finished = [record for record in order_of_rows(folder, records) if record.status == "ok"]
    if max(Counter(record.arm for record in finished).values(), default=0) < 2:
        return 0
    rows = [row for record in finished if (row := _row(record, store / record.key))]
    if not rows:
        return 0
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"draw_{index}" for index in range(len(rows[0]) - len(COLUMNS)))])
    writer.writerows(rows)
    write_text(folder / FILE, text.getvalue())
    return len(rows)


def _row(record: Record, folder: Path) -> list[str] | None:
    """The row of a trial; None if it kept no detections, or its validation images have no masks."""
    from core.evaluation.kept_detections import DETECTIONS, read_detections
    from core.evaluation.resampled_ap import image_draws, mask_matches, resampled_ap
    from experiments.rescore import annotation_file

    mask_ap = record.metrics.get("mask_AP")
    if DETECTIONS not in record.files or mask_ap is None:
        return None
    file = annotation_file(record, {})
    image_ids = [image.image_id for image in file.images]
    _, mask_results = read_detections(folder / DETECTIONS)
    matches = mask_matches(file.content, mask_results, image_ids=image_ids, category_ids=file.category_ids)
    aps = resampled_ap(matches, image_draws(len(image_ids)))
    return [record.key, (record.validation_file or "")[:16], *(str(round(float(ap), DIGITS)) for ap in (mask_ap, *aps))]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.resampled_ap",
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
        count = resample_study(name, arguments.results, arguments.store)
        place = arguments.results / name / FILE
        print(f"{place}: {count} trials" if count else f"{place}: not written, no arm has two seeds with detections")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
