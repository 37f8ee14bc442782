"""What the files of a training belong to: its settings, its seed, and the content of its data wherever that lies."""

from typing import Any

from core.config import Config
from core.config.recipe import leaves
from core.files.imagenet_weights import is_file_name


def training_identity(config: Config, seed: int, data_digest: str) -> dict[str, Any]:
    """What a checkpoint belongs to, as JSON knows it.

    The recipe's name and the places of files change no result and do not count: `data.root`, and a path in
    `model.backbone.weights`, in whose stead it says "a file". What lies in these places counts by `data_digest`.
    """
    settings = config.model_dump(mode="json", exclude={"name": True, "data": {"root"}})
    backbone = settings["model"]["backbone"]
    if is_file_name(backbone["weights"]):
        backbone["weights"] = "a file"
    return {"config": settings, "seed": seed, "data_digest": data_digest}


def pseudo_mask_identity(config: Config, seed: int, data_digest: str, *, images_per_step: int) -> dict[str, Any]:
    """What pseudo masks belong to, as JSON knows it.

    A teacher's belong to its training. GrabCut's depend on no network: of the settings, only those count that say which
    images are used and who has a mask.
    """
    method = config.supervision.pseudo_masks
    identity = training_identity(config, seed, data_digest)
    settings = identity["config"]
    settings["supervision"]["pseudo_masks"] = None  # as the teacher is trained
    if method == "teacher":
        return {"method": method, "images_per_step": images_per_step} | identity
    images = {"drop_images_without_boxes": settings["data"]["drop_images_without_boxes"]}
    return {"method": method} | identity | {"config": {"data": images, "supervision": settings["supervision"]}}


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Each value of two identities that differs, by its dotted name: `loss.dice is 1.0 instead of 0.5`."""
    theirs, ours = leaves(found), leaves(expected)

    def shown(values: dict[str, Any], name: str) -> str:
        return repr(values[name]) if name in values else "not there"

    return [
        f"{name} is {shown(theirs, name)} instead of {shown(ours, name)}"
        for name in ours | theirs
        if name not in theirs or name not in ours or theirs[name] != ours[name]
    ]
