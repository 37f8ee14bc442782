"""The ImageNet weights that the recipes on COCO and Pascal VOC start from: where they lie, where they come from."""

import hashlib
from pathlib import Path

# MSRA's ResNets (stride in the 1x1, BGR images), as detectron2 hands them out; it publishes no checksums of them.
SERVER = "https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained"
FILES = ("MSRA/R-50.pkl", "MSRA/R-101.pkl")  # 102 and 178 MB


def is_file_name(weights: str | None) -> bool:
    """Whether `model.backbone.weights` is a path, not None (random) or `package:<name>`."""
    return weights is not None and not weights.startswith("package:")


def require_weights(weights: str | None) -> None:
    """Raise a ValueError if `model.backbone.weights` is a file that is not there; it says where it comes from."""
    if not is_file_name(weights) or Path(weights).is_file():
        return
    origin = ""
    for path in FILES:
        if Path(weights).name == Path(path).name:
            folder = Path(weights).parent
            origin = f"; `python -m core.datasets.download weights --root {folder}` fetches it from {SERVER}/{path}"
    raise ValueError(f"model.backbone.weights: no file '{weights}'{origin}")


def with_weights(digest: str, weights: str | None) -> str:
    """The digest of the data, and of the weights that the trunk starts from if they are a file (not `package:`).

    Raises:
        ValueError: if there is no such file.
    """
    require_weights(weights)
    if not is_file_name(weights):
        return digest
    content = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    return hashlib.sha256(f"{digest} {content}".encode()).hexdigest()[:16]
