"""The order in which studies are shown: that of the paper, then what goes beyond it."""

from collections.abc import Iterable

STUDY_ORDER = (
    "loss_terms",
    "color_threshold",
    "edge_share",
    "neighborhood",
    "edge_membership",
    "warmup",
    "redesigned_loss",
    "baselines",
    "architecture",
    "mask_ratio",
    "annotation_budget",
    "class_split",
    "backbone",
    "main",
    "voc",
)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of studies in this order; those that it does not name come last, by name."""
    places = {name: place for place, name in enumerate(STUDY_ORDER)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))
