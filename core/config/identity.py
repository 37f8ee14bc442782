"""What identifies a training: its settings, its seed and the content of its data, wherever the files are."""

from collections.abc import Mapping
from typing import Any

from core.config import Config
from core.config.dotted import leaves, nested
from core.files.imagenet_weights import is_file_name

WEIGHTS = "model.backbone.weights"
MASK_FILE = "supervision.pseudo_masks.file"
# Settings that came later, and the value at which a training is the one from before them: there they do not count, so
# that it keeps its identity, and its checkpoint goes on.
CAME_LATER = {
    "loss.kept_edges": None,
    "loss.edge_membership": "each_end",
    "loss.pairwise_mean": "supervised_edges",
    "loss.ema_masks": 0.0,
    "supervision.ema_teacher": None,
}


def training_identity(config: Config | Mapping[str, Any], seed: int, data_digest: str) -> dict[str, Any]:
    """What identifies a training, as JSON values; checkpoints, the store and the records all compare it.

    `config` may be the nested settings of a record, which another version of the code may have written.
    The name of the recipe and the paths of files do not affect results and are excluded: `data.root`, and those of
    `model.backbone.weights` and `supervision.pseudo_masks`, which are replaced by "a file". The content of these files
    counts through `data_digest`. Settings that CAME_LATER are excluded where they change nothing.
    """
    settings = leaves(config.model_dump(mode="json") if isinstance(config, Config) else config)
    for place in ("name", "data.root"):
        settings.pop(place, None)
    for place, value in CAME_LATER.items():
        if place in settings and settings[place] == value:
            del settings[place]
    weights = settings.get(WEIGHTS)
    if isinstance(weights, str) and is_file_name(weights):
        settings[WEIGHTS] = "a file"
    if MASK_FILE in settings:
        settings[MASK_FILE] = "a file"
    return {"config": nested(settings), "seed": seed, "data_digest": data_digest}


def pseudo_mask_identity(
    config: Config, seed: int, data_digest: str, *, images_per_step: int, start: str | None = None
) -> dict[str, Any]:
    """What identifies a set of pseudo masks, as JSON values.

    The masks of a teacher belong to its training, and so to the digest of the checkpoint that it starts from (`start`;
    None: from none). GrabCut's depend on no network: only the settings count that select the images and the instances
    with a mask.
    """
    method = config.supervision.pseudo_masks
    identity = training_identity(config, seed, data_digest)
    settings = identity["config"]
    settings["supervision"]["pseudo_masks"] = None  # as the teacher is trained
    if method == "teacher":
        started = {} if start is None else {"start": start}
        return {"method": method, "images_per_step": images_per_step} | started | identity
    images = {"drop_images_without_boxes": settings["data"]["drop_images_without_boxes"]}
    return {"method": method} | identity | {"config": {"data": images, "supervision": settings["supervision"]}}


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """The values in which two identities differ, by dotted name: `loss.dice is 1.0 instead of 0.5`."""
    theirs, ours = leaves(found), leaves(expected)

    def shown(values: dict[str, Any], name: str) -> str:
        return repr(values[name]) if name in values else "missing"

    return [
        f"{name} is {shown(theirs, name)} instead of {shown(ours, name)}"
        for name in ours | theirs
        if name not in theirs or name not in ours or theirs[name] != ours[name]
    ]
