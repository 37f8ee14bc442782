"""FCOS: assignment, selection, losses and detections, as components (`tests.gpu.components`)."""

import torch
from torch import Tensor

from core.evaluation.selection import select_detections
from core.geometry import centerness_from_ltrb, pyramid_locations
from core.losses.detection import centerness_loss, focal_loss, giou_loss
from core.structures import Annotations, Assignment, Predictions
from core.targets.assignment import assign_locations, select_positives
from tests.gpu.case import Case, Results, gradients

STRIDES = [8, 16, 32, 64, 128]
CLASSES = 3


def _pyramid(case: Case, device: str) -> tuple[Tensor, Tensor, Tensor]:
    sizes = [(-(-case.size[0] // stride), -(-case.size[1] // stride)) for stride in STRIDES]
    return pyramid_locations(sizes, STRIDES, device)


def _assign(case: Case, device: str, center: str = "rasterized_box") -> tuple[Assignment, list[Annotations]]:
    annotations = Annotations.to_device(case.annotations(), device)
    settings = {"size_boundaries": (64.0, 128.0, 256.0, 512.0), "center_radius": 1.5, "padded_size": case.size}
    return assign_locations(*_pyramid(case, device), annotations, center=center, **settings), annotations


def assignment(case: Case) -> Results:
    found = {}
    for center in ("box", "rasterized_box", "mask"):
        assigned, _ = _assign(case, case.device, center)
        found |= {f"labels, {center}": assigned.labels, f"instances, {center}": assigned.instance_index}
    return found | {"ltrb": _assign(case, case.device, "box")[0].ltrb}


def _scores(case: Case, count: int) -> tuple[Tensor, Tensor]:
    random = case.random()
    return torch.randn(2, count, CLASSES, generator=random), torch.randn(2, count, generator=random)


def selection(case: Case) -> Results:
    """Of positives assigned on the CPU, so that the same ones compete."""
    found: Results = {}
    for kind, most in (("best_per_instance", 16), ("random", 16)):
        assigned, annotations = _assign(case, "cpu")
        labels, instances, ltrb = (t.to(case.device) for t in (assigned.labels, assigned.instance_index, assigned.ltrb))
        chosen = select_positives(
            Assignment(labels, instances, ltrb),
            *(scores.to(case.device) for scores in _scores(case, labels.shape[1])),
            Annotations.to_device(annotations, case.device),
            selection=kind,
            max_masks=most,
            generator=case.random(),
        )
        found |= {f"{kind}, locations": chosen.location_index, f"{kind}, targets": chosen.target_index}
    return found


def losses(case: Case) -> Results:
    assigned, _ = _assign(case, "cpu", "box")
    class_logits, centerness_logits = _scores(case, assigned.labels.shape[1])
    predicted = 4 * torch.rand(assigned.ltrb.shape, generator=case.random())
    positives = assigned.positives()
    target = assigned.ltrb[positives]
    moved = case.moved(class_logits, centerness_logits[positives], predicted[positives])
    labels, target, centerness = (t.to(case.device) for t in (assigned.labels, target, centerness_from_ltrb(target)))
    total = focal_loss(moved[0], labels, alpha=0.25, gamma=2.0)[0]
    total = total + giou_loss(moved[2], target, centerness)[0] + centerness_loss(moved[1], centerness)[0]
    return gradients(total, class_logits=moved[0], centerness_logits=moved[1], ltrb=moved[2])


def detections(case: Case) -> Results:
    """The same predictions, of which those survive whose box no better one covers."""
    locations, level_index, strides = _pyramid(case, case.device)
    class_logits, centerness_logits = _scores(case, len(locations))
    ltrb = 1 + 4 * torch.rand(2, len(locations), 4, generator=case.random())
    class_logits, ltrb, centerness_logits = (t.to(case.device) for t in (class_logits, ltrb, centerness_logits))
    features = class_logits.new_zeros(2, 1, case.size[0] // 8, case.size[1] // 8)
    predictions = Predictions(class_logits, ltrb, centerness_logits, locations, level_index, strides, [], features)
    settings = {"score_threshold": 0.3, "max_candidates": 500, "nms_threshold": 0.6, "max_detections": 60}
    found = select_detections(predictions, **settings)[1]
    return {"locations": found.location_index, "classes": found.labels, "scores": found.scores, "boxes": found.boxes}
