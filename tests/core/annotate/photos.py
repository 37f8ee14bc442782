"""Two photos and an untrained network to annotate them, and a run of it."""

from pathlib import Path

from core.annotate.__main__ import main
from core.annotate.detected import Annotated, annotate
from core.annotate.progress_file import PROGRESS
from core.compute.compute import Compute

SETTINGS = {
    "data": {"val_images": "photos", "val_annotations": "out/annotations.json", "val_short_side": 64},
    "model": {
        "backbone": {"name": "resnet18"},
        "levels": [3, 4, 5],
        "pyramid_channels": 16,
        "head_convs": 1,
        "head_groups": 4,
        "mask_branch_channels": 16,
    },
    "assignment": {"size_boundaries": [32, 64]},
    "inference": {"score_threshold": 0.0, "max_detections": 5},
}


def run(checkpoint: Path, min_score: float, out: str = "out", **settings: str) -> Annotated:
    folder = checkpoint.parent
    return annotate(checkpoint, folder / "photos", folder / out, Compute(), min_score=min_score, **settings)


def run_command(checkpoint: Path, *options: str) -> int:
    folder = checkpoint.parent
    words = ["--checkpoint", checkpoint, "--images", folder / "photos", "--out", folder / "out", "--device", "cpu"]
    return main([*map(str, words), *options])


def written(folder: Path) -> set[str]:
    """The files of an output folder but the one in which a run notes what it has done."""
    return {path.name for path in folder.iterdir()} - {PROGRESS}
