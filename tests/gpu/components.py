"""Value and gradient of every component on a device against those on the CPU, from the same inputs.

A component is a function of a `Case` that makes its inputs on the CPU, from a seed, and returns named tensors. Numbers
are compared by the norm of their difference over the norm of the CPU's, truth values and indices by the share of those
that differ.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from tests.gpu import detector_parts, mask_parts, network_parts
from tests.gpu.case import Case, Results
from tests.gpu.tensor_cores import tensor_cores


@dataclass(frozen=True)
class Tolerance:
    """How far a device may be from the CPU."""

    relative: float = 1e-4  # norm of the difference over the norm; float32 sums in another order
    differing: float = 0.0  # share of entries that are true, false or an index


COMPONENTS: dict[str, tuple[Callable[[Case], Results], Tolerance]] = {
    "projection loss": (mask_parts.projection, Tolerance()),
    "pairwise loss of similar edges": (mask_parts.pairwise_of_colors, Tolerance()),
    "pairwise loss of labeled edges": (mask_parts.pairwise_of_labels, Tolerance()),
    "dice loss": (mask_parts.dice, Tolerance()),
    "color similarity": (mask_parts.colors, Tolerance(differing=1e-4)),  # edges that are at the threshold
    "supervised edges": (mask_parts.edges, Tolerance()),
    "box masks": (mask_parts.boxes_on_grid, Tolerance()),
    "region masks on the grid": (mask_parts.regions_on_grid, Tolerance()),
    "RoIAlign of true masks": (mask_parts.region_targets, Tolerance()),
    "pasted masks": (mask_parts.pasting, Tolerance(differing=1e-5)),  # pixels whose probability is 0.5
    # Locations exactly on the side of a center region, whose center is a float32 sum.
    "FCOS assignment": (detector_parts.assignment, Tolerance(differing=1e-3)),
    "selection of positives": (detector_parts.selection, Tolerance()),
    "focal, GIoU and centerness losses": (detector_parts.losses, Tolerance()),
    "NMS": (detector_parts.detections, Tolerance()),
    "mask branch": (network_parts.mask_branch, Tolerance(relative=1e-3)),  # batch norm
    "controller": (network_parts.controller, Tolerance()),
    "dynamic mask head": (network_parts.mask_head, Tolerance()),
    "FCOS head": (network_parts.fcos_head, Tolerance(relative=1e-3)),
    "deformable convolution": (network_parts.deformable, Tolerance()),
    "Mask R-CNN's regions": (network_parts.regions, Tolerance(relative=1e-3)),
    # Gradients of all parameters as one vector, through batch norms over few pixels.
    "network and its losses": (network_parts.whole, Tolerance(relative=1e-2)),
}


def components(device: str, *, small: bool, names: list[str] | None = None) -> dict[str, Any]:
    """Compare all components, or those of these names; each goes on if another fails."""
    compared = {name: _compared(name, device, small) for name in names or COMPONENTS}
    return {"passed": all(each["passed"] for each in compared.values()), "components": compared}


def _compared(name: str, device: str, small: bool) -> dict[str, Any]:
    run, tolerance = COMPONENTS[name]
    case = Case("cpu", small)
    try:
        with tensor_cores(allowed=False):
            expected, found = run(case), run(replace(case, device=device))
        differences = {key: difference(found[key].detach().cpu(), expected[key].detach()) for key in expected}
    except Exception as error:
        return {"passed": False, "error": f"{type(error).__name__}: {error}"}
    passed = all(
        each["differing"] <= tolerance.differing and each["relative"] <= tolerance.relative
        for each in differences.values()
    )
    return {"passed": passed, "tolerance": vars(tolerance), "differences": differences}


def difference(found: Tensor, expected: Tensor) -> dict[str, float]:
    """Largest absolute difference, norm of the difference over the norm of the expected, share of entries that differ.

    Tensors of different shapes differ everywhere, and so do numbers that are not finite.
    """
    if found.shape != expected.shape:
        return {"absolute": float("inf"), "relative": float("inf"), "differing": 1.0}
    if not expected.is_floating_point():
        share = float((found != expected).float().mean()) if expected.numel() else 0.0
        return {"absolute": 0.0, "relative": 0.0, "differing": share}
    if not expected.numel():
        return {"absolute": 0.0, "relative": 0.0, "differing": 0.0}
    gap = found.double() - expected.double()
    if not gap.isfinite().all():
        return {"absolute": float("inf"), "relative": float("inf"), "differing": 1.0}
    norm = float(expected.double().norm())
    relative = float(gap.norm()) / norm if norm else float(gap.norm())
    return {"absolute": float(gap.abs().max()), "relative": relative, "differing": 0.0}
