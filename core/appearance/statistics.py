"""The statistics that describe how a data set looks: named numbers from what was measured."""

import numpy as np
from jaxtyping import Float

from core.appearance.measure import Appearance

SIDES = ((0.0, 0.2), (0.2, 0.4), (0.4, 1.0))  # of the box, relative to the image: small, medium, large
QUANTILES = (10, 25, 50, 75, 90)
OF_COLORS = (10, 50, 90)


def statistics(found: Appearance) -> dict[str, float]:
    """Numbers by name. Sizes are square roots of areas, relative to the image; contrast and spread are in LAB units.

    `purity` and what is kept of the edges are in percent; quantiles are named by their percentage.
    """
    outlines, coloring, edges = found.outlines, found.coloring, found.edges
    per_image = np.array(found.per_image)
    values = {
        "objects an image, mean": per_image.mean(),
        "images with one object, %": 100 * (per_image == 1).mean(),
        "images with over eight, %": 100 * (per_image > 8).mean(),
    }
    values |= {f"size, {q} %": np.percentile(outlines.size, q) for q in QUANTILES}
    for low, high in SIDES:
        chosen = (outlines.box_side >= low) & (outlines.box_side < high if high < 1 else True)
        values[f"box fill, side {low:g} to {high:g}"] = _mean(outlines.fill[chosen])
    values |= {
        "box fill, mean": outlines.fill.mean(),
        "box fill, sd": outlines.fill.std(),
        "box in other boxes, %": 100 * outlines.boxes_over.mean(),
        "box in other masks, %": 100 * outlines.masks_beside.mean(),
        "mask in other masks, %": 100 * outlines.masks_over.mean(),
    }
    measured = {name: column[~np.isnan(column)] for name, column in coloring.items()}
    for name in ("contrast", "spread", "ring_spread"):
        values |= {f"{name.replace('_', ' ')}, {q} %": np.percentile(measured[name], q) for q in OF_COLORS}
    values |= {
        "color modes, mean": measured["modes"].mean(),
        "one color mode, %": 100 * (measured["modes"] == 1).mean(),
        "ring in the object's colors, %": 100 * measured["shared"].mean(),
    }
    for number, threshold in enumerate(edges.thresholds):
        values[f"purity, τ = {threshold:g}, %"] = 100 * edges.kept_pure[number] / edges.kept[number]
    for number, threshold in enumerate(edges.thresholds):
        values[f"edges kept, τ = {threshold:g}, %"] = 100 * edges.kept[number] / edges.edges
    for number, threshold in enumerate(edges.thresholds):
        values[f"border edges kept, τ = {threshold:g}, %"] = 100 * edges.kept_different[number] / edges.different
    return {name: float(value) for name, value in values.items()}


def _mean(values: Float[np.ndarray, " n"]) -> float:
    return float(values.mean()) if len(values) else float("nan")
