"""Compute metrics of finished trials from their kept detections, without training: `python -m experiments.rescore`.

For every trial in store/, also of earlier code: all metrics are computed from detections.json.gz and the annotation
file that the trial was evaluated on. Those that its record lacks are added, to store/ and to the same trial in
results/, with the digest of the code that computed them; key, code and all else stay. `dvc commit` then has DVC keep
what has changed. Runs in MLflow stay as they are.

A trial is refused, and left as it is, if it kept no detections, if a file of it or the annotation file has changed, or
if a metric in its record is not the one that its detections give now. The IoU of pseudo masks is no metric of
detections, and is only measured by the trial itself.

Exit status: 0 every trial has every metric, 1 some were refused, 2 wrong input.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.compute.command import run_command
from core.config.dotted import leaves
from core.datasets.annotation_file import AnnotationFile
from core.evaluation.kept_detections import DETECTIONS, read_detections
from core.evaluation.quality import every_metric
from core.files.atomic import write_text
from core.files.lock import exclusive
from core.record import Record, read_record
from experiments.provenance import current_code
from experiments.results.files import RESULTS
from experiments.results.quality_table import order_of_rows, write_quality
from experiments.store import STORE, Store

REFUSED = 1  # exit status
PATHS = ("data.root", "data.val_annotations", "data.val_images")  # settings that say where the annotation file is

Files = dict[tuple[str, ...], AnnotationFile]  # read once, by the settings PATHS


def rescored(record: Record, folder: Path, code: str, files: Files) -> Record:
    """The record with every metric that the detections in the trial's folder give; the same if it lacks none.

    `code` is the digest of the code that computes them now. `files` gets the annotation files that are read.

    Raises:
        ValueError: if the trial is refused; names the file, or the metric.
    """
    if DETECTIONS not in record.files:
        raise ValueError(f"{folder / DETECTIONS}: the trial kept no detections, only training it again gives them")
    file = annotation_file(record, files)
    computed = record.changed(metrics=every_metric(file, *read_detections(folder / DETECTIONS))).metrics
    for name, value in computed.items():
        if name in record.metrics and record.metrics[name] != value:
            raise ValueError(
                f"{folder / 'record.json'}: {name} is {record.metrics[name]}, but its detections give {value}: the "
                "code that computes it has changed"
            )
    if not (new := {name: value for name, value in computed.items() if name not in record.metrics}):
        return record
    by_code = record.rescored | dict.fromkeys(new, code)
    return record.changed(metrics=record.metrics | new, rescored=by_code)


def annotation_file(record: Record, files: Files) -> AnnotationFile:
    """The annotation file that a trial was evaluated on, unchanged.

    Raises:
        ValueError: if it cannot be read or has changed; names it.
    """
    settings = leaves(record.config)
    if missing := [name for name in PATHS if not isinstance(settings.get(name), str)]:
        raise ValueError(f"the record of trial {record.key} has no setting {', '.join(missing)}")
    root, annotations, images = where = tuple(settings[name] for name in PATHS)
    if where not in files:
        files[where] = AnnotationFile.read(Path(root, annotations), Path(root, images), all_images=False)
    found, expected = files[where].fingerprint.hex(), record.validation_file or "none"
    if found != expected:
        raise ValueError(
            f"{files[where].path}: not the file that the trial was evaluated on: its SHA-256 is {found[:16]}..., "
            f"expected {expected[:16]}..."
        )
    return files[where]


def rescore_store(store: Store, *, dry_run: bool) -> tuple[dict[str, Record], int]:
    """Rescore every trial of the store and print what became of it; returns their records by key, and how many failed.

    With `dry_run` nothing is written.
    """
    code, files, records, refused = current_code(), Files(), {}, 0
    for key in store.keys():  # noqa: SIM118 (no dictionary)
        try:
            with store.lock(key):
                before = store.read(key)
                record = rescored(before, store.folder(key), code, files)
                if record is not before and not dry_run:
                    store.write(record)
        except ValueError as error:
            print(f"{key}  refused: {error}")
            refused += 1
            continue
        records[key] = record
        new = [name for name in record.metrics if name not in before.metrics]
        done = f"{'would add' if dry_run else 'added'} {', '.join(new)}" if new else "has every metric"
        print(f"{key}  {done}")
    return records, refused


def rescore_results(root: Path, records: dict[str, Record]) -> list[str]:
    """Give the trials in the results of studies the metrics of `records`, by key; returns the studies that changed."""
    changed = []
    for folder in sorted(path.parent for path in root.glob("[!.]*/trials") if path.is_dir()):
        with exclusive(root / f".{folder.name}.lock", while_waiting=f"{folder}: another process writes these results"):
            trials = {path: read_record(path) for path in sorted((folder / "trials").glob("*.json"))}
            new = {path: with_metrics_of(records[r.key], r) for path, r in trials.items() if r.key in records}
            new = {path: record for path, record in new.items() if record != trials[path]}
            for path, record in new.items():
                write_text(path, record.sealed().to_json())
            if new:
                write_quality(folder, order_of_rows(folder, trials | new))
                changed.append(folder.name)
    return changed


def with_metrics_of(stored: Record, record: Record) -> Record:
    """A record of the results with the metrics that it lacks of the same trial in the store."""
    new = {name: value for name, value in stored.metrics.items() if name not in record.metrics}
    if not new:
        return record
    by_code = {name: code for name, code in stored.rescored.items() if name in new}
    return record.changed(metrics=record.metrics | new, rescored=record.rescored | by_code)


def rescore(root: Path, results: Path, *, dry_run: bool) -> int:
    """Rescore a store and the results of its studies; returns the exit status.

    Raises:
        ValueError: if there is no store, or a record in the results is malformed.
    """
    if not root.is_dir():
        raise ValueError(f"{root}: no such folder, expected the store of finished trials")
    records, refused = rescore_store(Store(root), dry_run=dry_run)
    studies = [] if dry_run else rescore_results(results, records)
    for study in studies:
        print(f"{results / study}: records and quality.csv are written")
    have, ending = ("would have", "; nothing is written") if dry_run else ("have", "")
    print(f"{len(records)} trials {have} every metric, {refused} are refused{ending}")
    return REFUSED if refused else 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.rescore", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, default=STORE, help="folder of finished trials (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="results of studies (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="compute and compare everything, write nothing")
    arguments = parser.parse_args(words)
    return run_command(lambda: rescore(arguments.store, arguments.results, dry_run=arguments.dry_run))


if __name__ == "__main__":
    sys.exit(main())
