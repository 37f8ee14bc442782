"""The detections of a training, kept to compute metrics from them later: a compressed file in COCO's results format.

Each entry has `image_id`, `category_id`, `score`, `bbox` and `segmentation`. pycocotools reads the list as it is, but
takes an entry with a box by the size of its box: for the mask AP of small, medium and large objects drop `bbox` first.
"""

import gzip
import json
import zlib
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from core.files.atomic import replaced
from core.files.json_file import parse_json

DETECTIONS = "detections.json.gz"
KEYS = ("image_id", "category_id", "score", "bbox", "segmentation")
LEVEL = 9  # of compression, the strongest of gzip

Results = list[dict[str, Any]]


def write_detections(box_results: Results, mask_results: Results, path: Path) -> None:
    """Write box results and mask results, entry i of both being one detection, without losing a digit.

    Equal detections give equal bytes: the file has neither name nor time in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replaced(path) as partial,
        partial.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=file, mtime=0) as compressed,
        TextIOWrapper(compressed, "ascii") as text,
    ):
        text.write("[")
        for index, (box, mask) in enumerate(zip(box_results, mask_results, strict=True)):
            both = box | mask
            entry = {key: both[key] for key in KEYS}
            text.write((",\n" if index else "\n") + json.dumps(entry, separators=(",", ":"), allow_nan=False))
        text.write("\n]\n")


def read_detections(path: Path) -> tuple[Results, Results]:
    """Box results and mask results of a file of `write_detections`, equal to what was written.

    Raises:
        ValueError: if the file cannot be read, or is not such a file; names it.
    """
    try:
        text = gzip.decompress(path.read_bytes()).decode("ascii")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path}: cannot be read as compressed detections ({reason})") from error
    content = parse_json(text, path)
    if not isinstance(content, list):
        raise ValueError(f"{path}: found {content!r:.60}, expected a list of detections")
    for index, entry in enumerate(content):
        if not isinstance(entry, dict) or tuple(entry) != KEYS:
            raise ValueError(f"{path}: detection {index} is {entry!r:.60}, expected the keys {', '.join(KEYS)}")
    return _without(content, "segmentation"), _without(content, "bbox")


def _without(content: Results, dropped: str) -> Results:
    return [{key: value for key, value in entry.items() if key != dropped} for entry in content]
