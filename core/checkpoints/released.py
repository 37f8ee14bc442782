"""Load weights that AdelaiDet released or trained into our network: its checkpoint format and parameter names.

Covers CondInst and BoxInst with a ResNet (18 to 101), FPN or BiFPN, with and without deformable convolutions and the
semantic head.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from core.files.tensors import read_tensors
from core.model.bifpn import BiFeaturePyramid
from core.model.condinst import CondInst
from core.model.detectron2_names import BLOCK_LAYERS, TRUNK, Pairs, swapped, translate

SHOWN = 10  # names of each kind that an error message lists
FCOS = "proposal_generator.fcos_head"
# (theirs, ours): prefixes of names; the first match counts
HEADS: Pairs = (
    (f"{FCOS}.cls_tower.", "head.class_tower."),
    (f"{FCOS}.bbox_tower.", "head.box_tower."),
    (f"{FCOS}.cls_logits.", "head.class_logits."),
    (f"{FCOS}.bbox_pred.", "head.ltrb."),
    (f"{FCOS}.ctrness.", "head.centerness."),
    *((f"{FCOS}.scales.{i}.scale", f"head.scales.{i}") for i in range(5)),
    ("mask_branch.refine.", "mask_branch.refine."),
    ("mask_branch.tower.4.", "mask_branch.output."),
    ("mask_branch.tower.", "mask_branch.tower."),
    ("mask_branch.seg_head.", "semantic_head.tower."),
    ("mask_branch.logits.", "semantic_head.logits."),
    ("controller.", "controller."),
)
FPN: Pairs = (
    *((f"backbone.fpn_lateral{level}.", f"pyramid.lateral.{level - 3}.") for level in (3, 4, 5)),
    *((f"backbone.fpn_output{level}.", f"pyramid.output.{level - 3}.") for level in (3, 4, 5)),
    *((f"backbone.top_block.p{level}.", f"pyramid.extra.{level - 6}.") for level in (6, 7)),
    *((f"backbone.bottom_up.{theirs}", f"backbone.{ours}") for theirs, ours in TRUNK),
)
BIFPN: Pairs = (
    *(
        (f"backbone.repeated_bifpn.0.lateral_{level}_f{level}.{theirs}", f"pyramid.lateral.{level}.{ours}")
        for level in (0, 1, 2)
        for theirs, ours in (("norm.", "1."), ("", "0."))
    ),
    ("backbone.repeated_bifpn.", "pyramid.repeats."),
    ("backbone.bottom_up.res6.reduction.norm.", "pyramid.coarser.1."),
    ("backbone.bottom_up.res6.reduction.", "pyramid.coarser.0."),
    # AdelaiDet wraps the backbone of a BiFPN once more.
    *((f"backbone.bottom_up.backbone.{theirs}", f"backbone.{ours}") for theirs, ours in TRUNK),
)
# Fusions of a repeat: their names give the level and the maps that are merged, ours the direction and the position.
FUSIONS = {
    **{"f3_3_4": "down.3", "f2_2_5": "down.2", "f1_1_6": "down.1", "f0_0_7": "down.0"},
    **{"f1_1_7_8": "up.0", "f2_2_6_9": "up.1", "f3_3_5_10": "up.2", "f4_4_11": "up.3"},
}
# (theirs, ours): parts inside a name
LAYERS: Pairs = (
    *BLOCK_LAYERS,
    *((f".weights_{theirs}", f".{ours}.weights") for theirs, ours in FUSIONS.items()),
    *((f".outputs_{theirs}.norm.", f".{ours}.norm.") for theirs, ours in FUSIONS.items()),
    *((f".outputs_{theirs}.", f".{ours}.convolution.") for theirs, ours in FUSIONS.items()),
)
# Tensors that our network may lack: settings, counters, and the semantic head, which only its loss reads.
SETTINGS = ("pixel_mean", "pixel_std", "mask_head._iter", "mask_head.sizes_of_interest")
COUNTER = ".num_batches_tracked"
SEMANTIC_HEAD = "semantic_head."
CLASS_BIAS = "head.class_logits.bias"  # ours; one number for each class


def our_name(their_name: str) -> str | None:
    """Translate the name of an AdelaiDet tensor to our state dict; None if it has no counterpart.

    Looks only at the name; `load_released_weights` checks whether a given network has the tensor.
    """
    if _may_be_dropped(their_name):
        return None
    return translate(their_name, BIFPN + FPN + HEADS, LAYERS)


def number_of_classes(tensors: Mapping[str, Tensor]) -> int | None:
    """The number of classes of an AdelaiDet checkpoint, by its names; None if it has no class logits."""
    sizes = [tensor.shape[0] if tensor.dim() else 0 for name, tensor in tensors.items() if our_name(name) == CLASS_BIAS]
    return sizes[-1] if sizes else None


def load_released_weights(model: CondInst, path: Path) -> None:
    """Load all weights of the network from an AdelaiDet checkpoint: a state dict, alone or under `model`.

    Reading the file runs no code from it. The file does not say how the network computes: AdelaiDet's ResNets take BGR
    images minus the mean, with the stride in the 1x1 convolutions, as in the defaults of `BackboneConfig`. Counters of
    batch norm and settings are ignored, and so is the semantic head if the network has none. The network is changed
    only if the whole file fits.

    Raises:
        ValueError: if the file cannot be read or is not a state dict; if it belongs to another network (names the
            settings that differ); if tensors are missing, unexpected, duplicated (two names for one parameter), of the
            wrong shape or not finite floats: lists them by AdelaiDet's names.
    """
    tensors = read_tensors(path)
    places: dict[str, list[str]] = {}
    for theirs in tensors:
        ours = our_name(theirs)
        if ours is not None and (model.semantic_head is not None or not ours.startswith(SEMANTIC_HEAD)):
            places.setdefault(ours, []).append(theirs)
    names = {ours: candidates[0] for ours, candidates in places.items()}
    found = {ours: tensors[theirs] for ours, theirs in names.items()}
    expected = {ours: tensor for ours, tensor in model.state_dict().items() if not ours.endswith(COUNTER)}

    starts = (BIFPN if isinstance(model.pyramid, BiFeaturePyramid) else FPN) + HEADS
    unknown = [name for name in tensors if our_name(name) is None and not _may_be_dropped(name)]
    kinds = {
        "missing": [_their_name(ours, starts) for ours in expected if ours not in found],
        "unexpected": unknown + [theirs for ours, theirs in names.items() if ours not in expected],
        "duplicated": [" = ".join(candidates) for candidates in places.values() if len(candidates) > 1],
        "not finite floats": [names[ours] for ours, tensor in found.items() if not _are_finite_floats(tensor)],
        "of wrong shape": [
            f"{names[ours]} {tuple(tensor.shape)} instead of {tuple(expected[ours].shape)}"
            for ours, tensor in found.items()
            if ours in expected and tensor.shape != expected[ours].shape
        ],
    }
    problems = [f"{len(listed)} {kind} ({_shortened(listed)})" for kind, listed in kinds.items() if listed]
    if problems:
        other = "".join(f", {difference}" for difference in _differences(found, expected))
        raise ValueError(f"{path}: tensors do not fit this network{other}: {'; '.join(problems)}")
    # Not strict, because the counters are missing, which nothing reads; everything else is checked above.
    model.load_state_dict(found, strict=False)


def _differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Settings in which the network of the file differs from ours, as far as the tensors show."""
    theirs, ours = _settings(found), _settings(expected)
    return [f"{name} {theirs[name]} instead of {ours[name]}" for name in theirs if theirs[name] != ours[name]]


def _settings(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The settings that can be inferred from the names (ours) and shapes of a network's tensors."""

    def rows(name: str) -> str:
        return str(len(tensors[name])) if name in tensors and tensors[name].dim() else "unknown"

    blocks = {name.split(".")[2] for name in tensors if name.startswith("backbone.layer3.")}
    deformable = {name.split(".")[2] for name in tensors if re.fullmatch(r"backbone\.layer3.*offset\.bias", name)}
    repeats = {name.split(".")[2] for name in tensors if name.startswith("pyramid.repeats.")}
    depth = {6: "resnet50", 23: "resnet101"}.get(len(blocks), f"with {len(blocks)} blocks in res4")
    channels = rows("mask_branch.output.bias")
    return {
        "model.backbone.name": depth,
        "model.backbone.deformable_interval": f"for {len(deformable)} of {len(blocks)} blocks of res4",
        "model.pyramid": f"bifpn of {len(repeats)} repeats" if repeats else "fpn",
        "model.pyramid_channels": rows("pyramid.lateral.0.0.bias" if repeats else "pyramid.lateral.0.bias"),
        "model.mask_feature_channels": {"16": "16 (BoxInst)", "8": "8 (CondInst)"}.get(channels, channels),
        "classes": rows(CLASS_BIAS),
    }


def _are_finite_floats(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool(torch.isfinite(tensor).all())


def _may_be_dropped(their_name: str) -> bool:
    return their_name in SETTINGS or their_name.endswith(COUNTER)


def _their_name(our: str, starts: Pairs) -> str:
    """AdelaiDet's name for a tensor of ours; our own name if AdelaiDet has no such part."""
    return translate(our, swapped(starts), swapped(LAYERS)) or our


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
