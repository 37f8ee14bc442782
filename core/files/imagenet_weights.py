"""The ImageNet weights that the recipes on COCO and Pascal VOC start from: file names and download server."""

import hashlib
from pathlib import Path

# MSRA's ResNets (stride in the 1x1, BGR images), as distributed by detectron2, which publishes no checksums.
SERVER = "https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained"
FILES = ("MSRA/R-50.pkl", "MSRA/R-101.pkl")  # 102 and 178 MB


def is_file_name(weights: str | None) -> bool:
    """Whether `model.backbone.weights` is a path, not None (random) or `package:<name>`."""
    return weights is not None and not weights.startswith("package:")


def require_weights(weights: str | None) -> None:
    """Raise a ValueError if `model.backbone.weights` is a missing file; the message says how to download it."""
    if not is_file_name(weights) or Path(weights).is_file():
        return
    origin = ""
    for path in FILES:
        if Path(weights).name == Path(path).name:
            folder = Path(weights).parent
            origin = f"; `python -m core.datasets.download weights --root {folder}` downloads it from {SERVER}/{path}"
    raise ValueError(f"model.backbone.weights: no file '{weights}'{origin}")


def with_weights(digest: str, weights: str | None) -> str:
    """The digest of the data combined with the initial weights of the backbone, if these are a file (not `package:`).

    Raises:
        ValueError: if the file does not exist.
    """
    require_weights(weights)
    if not is_file_name(weights):
        return digest
    content = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    return hashlib.sha256(f"{digest} {content}".encode()).hexdigest()[:16]
