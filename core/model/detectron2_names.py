"""Translate the tensor names of ResNets from detectron2, and from its Caffe2 files, to ours (torchvision's)."""

import re

Pairs = tuple[tuple[str, str], ...]

# (theirs, ours): prefixes of names; the first match counts
TRUNK: Pairs = (
    ("stem.conv1.norm.", "bn1."),
    ("stem.conv1.", "conv1."),
    *((f"res{stage}.", f"layer{stage - 1}.") for stage in (2, 3, 4, 5)),
)
# (theirs, ours): layers inside a ResNet block
BLOCK_LAYERS: Pairs = (
    *((f".conv{i}.norm.", f".bn{i}.") for i in (1, 2, 3)),
    (".conv2_offset.", ".conv2.offset."),
    (".shortcut.norm.", ".downsample.1."),
    (".shortcut.", ".downsample.0."),
)
CAFFE2_LAYERS = {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"}
CAFFE2_TENSORS = {
    "w": "weight",
    "bn_s": "norm.weight",  # frozen norms: only scale and shift
    "bn_b": "norm.bias",
    "bn_gamma": "norm.weight",  # complete norms
    "bn_beta": "norm.bias",
    "bn_running_mean": "norm.running_mean",
    "bn_running_var": "norm.running_var",
}


def translate(name: str, starts: Pairs, layers: Pairs) -> str | None:
    """Replace the prefix of the name and the first matching layer in the rest; None if no prefix matches."""
    for old_start, new_start in starts:
        if name.startswith(old_start):
            rest = name.removeprefix(old_start)
            for old, new in layers:
                if old in rest:
                    rest = rest.replace(old, new)
                    break
            return new_start + rest
    return None


def swapped(pairs: Pairs) -> Pairs:
    return tuple((new, old) for old, new in pairs)


def trunk_name(theirs: str) -> str | None:
    """Our name for a tensor of detectron2's ResNet; None if it has no counterpart."""
    return translate(theirs, TRUNK, BLOCK_LAYERS)


def from_caffe2(blob: str) -> str | None:
    """detectron2's name for a Caffe2 blob; None if it is no part of a backbone's convolutions and norms."""
    stem = re.fullmatch(r"(?:res_)?conv1_(.+)", blob)
    block = re.fullmatch(r"(res\d)_(\d+)_branch(1|2a|2b|2c)_(.+)", blob)
    if stem and stem[1] in CAFFE2_TENSORS:
        return f"stem.conv1.{CAFFE2_TENSORS[stem[1]]}"
    if block and block[4] in CAFFE2_TENSORS:
        return f"{block[1]}.{block[2]}.{CAFFE2_LAYERS[block[3]]}.{CAFFE2_TENSORS[block[4]]}"
    return None
