"""The ImageNet weights that the recipes on COCO and Pascal VOC start from: where they lie, where they come from."""

from pathlib import Path

# MSRA's ResNets (stride in the 1x1, BGR images), as detectron2 hands them out; it publishes no checksums of them.
SERVER = "https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained"
FILES = ("MSRA/R-50.pkl", "MSRA/R-101.pkl")  # 102 and 178 MB


def require_weights(weights: str | None) -> None:
    """Raise a ValueError if `model.backbone.weights` is a file that is not there; it says where it comes from."""
    if weights is None or weights.startswith("package:") or Path(weights).is_file():
        return
    origin = ""
    for path in FILES:
        if Path(weights).name == Path(path).name:
            folder = Path(weights).parent
            origin = f"; `python -m core.datasets.download weights --root {folder}` fetches it from {SERVER}/{path}"
    raise ValueError(f"model.backbone.weights: no file '{weights}'{origin}")
