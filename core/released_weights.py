"""Weights that AdelaiDet released or trained, loaded into our network: its checkpoint format and its names.

Covers CondInst and BoxInst on a ResNet (18 to 101) with an FPN; deformable convolutions and BiFPN have no counterpart
here, and a file that holds them is refused.
"""

from pathlib import Path

import torch
from torch import Tensor

from core.model.condinst import CondInst

Pairs = tuple[tuple[str, str], ...]

SHOWN = 10  # names that an error message lists of each kind
FCOS = "proposal_generator.fcos_head"
# (theirs, ours): starts of names; the first that fits counts
PARTS: Pairs = (
    ("backbone.bottom_up.stem.conv1.norm.", "backbone.bn1."),
    ("backbone.bottom_up.stem.conv1.", "backbone.conv1."),
    *((f"backbone.bottom_up.res{stage}.", f"backbone.layer{stage - 1}.") for stage in (2, 3, 4, 5)),
    *((f"backbone.fpn_lateral{level}.", f"pyramid.lateral.{level - 3}.") for level in (3, 4, 5)),
    *((f"backbone.fpn_output{level}.", f"pyramid.output.{level - 3}.") for level in (3, 4, 5)),
    *((f"backbone.top_block.p{level}.", f"pyramid.extra.{level - 6}.") for level in (6, 7)),
    (f"{FCOS}.cls_tower.", "head.class_tower."),
    (f"{FCOS}.bbox_tower.", "head.box_tower."),
    (f"{FCOS}.cls_logits.", "head.class_logits."),
    (f"{FCOS}.bbox_pred.", "head.ltrb."),
    (f"{FCOS}.ctrness.", "head.centerness."),
    *((f"{FCOS}.scales.{i}.scale", f"head.scales.{i}") for i in range(5)),
    ("mask_branch.refine.", "mask_branch.refine."),
    ("mask_branch.tower.4.", "mask_branch.output."),
    ("mask_branch.tower.", "mask_branch.tower."),
    ("controller.", "controller."),
)
# (theirs, ours): layers inside a block of the ResNet
BLOCK_LAYERS: Pairs = (
    *((f".conv{i}.norm.", f".bn{i}.") for i in (1, 2, 3)),
    (".shortcut.norm.", ".downsample.1."),
    (".shortcut.", ".downsample.0."),
)
# Not weights of the network that we run: settings, counters, and the semantic head that only a loss reads.
SETTINGS = ("pixel_mean", "pixel_std", "mask_head._iter", "mask_head.sizes_of_interest")
COUNTER = ".num_batches_tracked"
SEMANTIC_HEAD = ("mask_branch.seg_head.", "mask_branch.logits.")


def our_name(their_name: str) -> str | None:
    """Name in our state dict of a tensor of AdelaiDet's; None for what has no counterpart there.

    The name alone decides: whether a given network has that tensor is left to `load_released_weights`.
    """
    if _may_be_dropped(their_name):
        return None
    return _translate(their_name, PARTS, BLOCK_LAYERS)


def load_released_weights(model: CondInst, path: Path) -> None:
    """Fill the whole network from a checkpoint of AdelaiDet's: a state dict, alone or under `model`.

    The file is read without running code from it. It does not say how the network computes: its ResNets take BGR
    images minus the mean, with the stride in the 1x1 convolutions, as in the defaults of `BackboneConfig`. BoxInst has
    16 mask features and CondInst 8 (`ModelConfig.mask_feature_channels`). Running counters of batch norm, settings
    and the head of the semantic loss are left out. The network is changed only if the whole file fits.

    Raises:
        ValueError: if the file cannot be read or holds no tensors by name, or if tensors are missing, left over or of
            the wrong shape; lists them by AdelaiDet's names.
    """
    tensors = _read(path)
    found = {our_name(theirs): theirs for theirs in tensors if our_name(theirs) is not None}
    expected = {ours: tensor for ours, tensor in model.state_dict().items() if not ours.endswith(COUNTER)}

    missing = [_their_name(ours) for ours in expected if ours not in found]
    left_over = [name for name in tensors if our_name(name) not in expected and not _may_be_dropped(name)]
    misshapen = [
        f"{theirs} {tuple(tensors[theirs].shape)} instead of {tuple(expected[ours].shape)}"
        for ours, theirs in found.items()
        if ours in expected and tensors[theirs].shape != expected[ours].shape
    ]
    kinds = {"missing": missing, "left over": left_over, "of the wrong shape": misshapen}
    problems = [f"{len(names)} {kind} ({_shortened(names)})" for kind, names in kinds.items() if names]
    if problems:
        raise ValueError(f"{path}: not the tensors of this network: {'; '.join(problems)}")
    # Not strict because of the counters, which nothing reads; all else is checked above.
    model.load_state_dict({ours: tensors[theirs] for ours, theirs in found.items()}, strict=False)


def _may_be_dropped(their_name: str) -> bool:
    return their_name in SETTINGS or their_name.endswith(COUNTER) or their_name.startswith(SEMANTIC_HEAD)


def _their_name(our: str) -> str:
    """AdelaiDet's name of a tensor of ours; our own where AdelaiDet has no such part."""
    return _translate(our, _swapped(PARTS), _swapped(BLOCK_LAYERS)) or our


def _translate(name: str, parts: Pairs, layers: Pairs) -> str | None:
    for old_part, new_part in parts:
        if name.startswith(old_part):
            rest = name.removeprefix(old_part)
            for old, new in layers:
                if old in rest:
                    rest = rest.replace(old, new)
                    break
            return new_part + rest
    return None


def _swapped(pairs: Pairs) -> Pairs:
    return tuple((new, old) for old, new in pairs)


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # bytes of another kind end the unpickler in any of its errors
        raise ValueError(f"{path}: no torch file that holds tensors and nothing that runs: {error}") from error
    tensors = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in tensors.items()
    ):
        raise ValueError(f"{path}: expected a state dict, tensors by name, or one under 'model'")
    return tensors
