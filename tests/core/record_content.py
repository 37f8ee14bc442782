"""The content of a record by hand, and its file."""

import json
from pathlib import Path
from typing import Any

METRIC_CELLS = {"mask_AP": 12.345678, "mask_AP50": 20.0, "mask_APs": None, "box_AP": 1 / 3, "box_AP50": 50.0}


def content(**changes: Any) -> dict[str, Any]:
    """A record by hand; a change to `...` leaves the field out."""
    fields = {
        "study": "widths",
        "arm": "narrow",
        "key": "0123456789abcdef",
        "status": "ok",
        "reason": "",
        "config": {
            "name": "tiny",
            "data": {"root": "data/tiny", "short_sides": [64, 96]},
            "loss": {"dice": 0.5, "semantic": None},
        },
        "seed": 3,
        "data_digest": "d",
        "code": "c",
        "metrics": METRIC_CELLS,
        "curves": [{"epoch": 1, "epochs": 1, "loss/total": None, "mask_AP": 12.345678}],
        "pictures": ["000000000001.png"],
        "seconds": 60,
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "k.json"
    path.write_text(json.dumps(content(**changes)))
    return path
