"""What an arm is called in tables and plots: words a reader understands without the study file."""

import re

ARM_LABELS = {
    "box_mask": "box as mask",
    "projection": "projection only",
    "pairwise": "pairwise only",
    "both": "projection + pairwise",
    "full": "full masks",
    "dice": "Dice on true masks",
    "dice_paper": "Dice on true masks, the paper's own row",
    "redesigned": "projection + pairwise from true masks (Eq. 5)",
    "boxes": "boxes only",
    "masks_for_two": "masks for two categories",
    "grabcut": "GrabCut masks",
    "self_training": "self-training",
    "mask_rcnn": "Mask R-CNN (torchvision)",
    "boxinst_released": "BoxInst as released",
    "condinst_released": "CondInst as released",
}
SHARES = (  # arms named by what share of the images is annotated how, in percent
    (r"masks_(\d+)", "{} % of masks"),
    (r"boxes_(\d+)", "{} % of boxes"),
    (r"masks_(\d+)_boxes_(\d+)", "{} % of masks, {} % of boxes"),
    (r"two_phases_(\d+)", "{} % of masks, in two phases"),
    (r"masks_only_(\d+)", "{} % of masks, no boxes"),
)
TIMES = "\N{MULTIPLICATION SIGN}"
SYMBOLS = {"color_threshold": "τ", "color_temperature": "θ"}  # the paper's


def arm_label(arm: str) -> str:
    """Name of an arm for readers; an unknown arm's own name, with spaces for underscores.

    An arm of a grid (`loss.color_threshold` at 0.1) is called `color_threshold=0.1`, joined by commas.
    """
    if arm in ARM_LABELS:
        return ARM_LABELS[arm]
    for pattern, words in SHARES:
        if found := re.fullmatch(pattern, arm):
            return words.format(*found.groups())
    parts = re.sub(r"neighborhood_size=(\d+)", rf"\1{TIMES}\1", arm).split(",")
    return ", ".join(_setting_label(part) for part in parts)


def _setting_label(part: str) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        return ARM_LABELS.get(part, part.replace("_", " "))
    if name == "neighborhood_dilation":
        return f"dilation {value}"
    if name == "pairwise_warmup" and re.fullmatch(r"[\d.]+", value):
        return f"warm-up {100 * float(value):g} %"
    return f"{SYMBOLS.get(name, name.replace('_', ' '))} = {value}"
