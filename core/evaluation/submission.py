"""Write detections and metrics to files: COCO's results format, and archives for COCO's evaluation server."""

import json
import re
from io import TextIOBase, TextIOWrapper
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from core.files.atomic import replaced


def write_results(results: list[dict[str, Any]], path: Path) -> None:
    """Write box results or mask results as a JSON file that pycocotools' `loadRes` reads."""
    with replaced(path) as partial, partial.open("w") as file:
        _write_json(results, file)


def write_metrics(metrics: dict[str, float], per_class: dict[str, float], path: Path) -> None:
    """Write metrics and mask AP by class as JSON; NaN (nothing to find) becomes null."""
    named = {"metrics": metrics, "per_class": per_class}
    content = {part: {k: None if v != v else v for k, v in values.items()} for part, values in named.items()}
    with replaced(path) as partial, partial.open("w") as file:
        json.dump(content, file, indent=1, allow_nan=False)


def write_submission(results: list[dict[str, Any]], folder: Path, test_set: str, name: str) -> Path:
    """Write box results or mask results for COCO's evaluation server: a JSON file in a zip of the same name.

    The server expects the name `detections_[testset]_[algorithm]_results` for both kinds. Returns the path.

    Raises:
        ValueError: if `name`, the algorithm, has characters other than letters, digits and hyphens.
    """
    check_submission_name(name)
    stem = f"detections_{test_set}_{name}_results"
    path = folder / f"{stem}.zip"
    with (
        replaced(path) as partial,
        ZipFile(partial, "w", ZIP_DEFLATED) as archive,
        archive.open(f"{stem}.json", "w", force_zip64=True) as content,
        TextIOWrapper(content, "ascii") as file,
    ):
        _write_json(results, file)
    return path


def check_submission_name(name: str) -> None:
    """Raise a ValueError if the name of the algorithm is ambiguous between the underscores around it."""
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValueError(f"name of the submission is {name!r}, expected letters, digits and hyphens")


def _write_json(results: list[dict[str, Any]], file: TextIOBase) -> None:
    """Write a list, one result per line, without building the text of a large test set in memory."""
    file.write("[")
    for index, result in enumerate(results):
        file.write((",\n" if index else "\n") + json.dumps(result))
    file.write("\n]\n")
