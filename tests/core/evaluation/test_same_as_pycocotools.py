"""pycocotools is the judge: every number equals its own to the last bit, on drawn detections and on hand-made cases."""

import contextlib
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, coco_metrics, found_annotations

HEIGHT, WIDTH = 160, 200
CLASSES = (3, 70, 12)  # the last has no annotation
IMAGES = 12

Scene = tuple[dict[str, Any], list[dict], list[dict]]  # content of a file, box results, mask results


def ellipse(box: list[float]) -> dict[str, Any]:
    x, y, width, height = box
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = ((columns - x - width / 2) / (width / 2)) ** 2 + ((rows - y - height / 2) / (height / 2)) ** 2 <= 1
    encoded = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}


def scene(seed: int, *, crowds: float = 0.1) -> Scene:
    """Objects of all sizes in most images, detections near most of them and elsewhere, with scores that tie."""
    rng = np.random.default_rng(seed)

    def drawn_box() -> list[float]:
        width, height = rng.choice([8, 25, 60, 120]) * rng.uniform(0.5, 1.5, 2)  # areas below 32^2 and above 96^2
        x, y = rng.uniform(0, WIDTH - 6), rng.uniform(0, HEIGHT - 6)
        return [float(x), float(y), float(min(width, WIDTH - x)), float(min(height, HEIGHT - y))]

    annotations, boxes, masks = [], [], []
    for image in range(1, IMAGES + 1):
        objects = [(drawn_box(), int(rng.choice(CLASSES[:2]))) for _ in range(rng.integers(0, 5))]
        for (x, y, width, height), category in objects:
            segmentation: Any = ellipse([x, y, width, height])
            crowd = int(rng.random() < crowds)
            if not crowd and rng.random() < 0.3:
                segmentation = [[x, y, x + width, y, x + width, y + height, x, y + height]]
            entry = {"id": len(annotations) + 1, "image_id": image, "category_id": category, "iscrowd": crowd}
            box = [x, y, width, height]
            annotations.append(entry | {"bbox": box, "area": 0.8 * width * height, "segmentation": segmentation})
        for _ in range(rng.integers(0, 12)):
            box, category = drawn_box(), int(rng.choice(CLASSES))
            if objects and rng.random() < 0.7:
                (x, y, width, height), category = objects[rng.integers(len(objects))]
                moved = rng.normal(0, 0.08, 4) * (width, height, width, height) + (x, y, width, height)
                box = [*moved[:2].clip(0).tolist(), *moved[2:].clip(2).tolist()]
            shared = {"image_id": image, "category_id": category, "score": round(float(rng.random()), 1)}
            boxes.append(shared | {"bbox": box})
            masks.append(shared | {"segmentation": ellipse(box)})
    content = {
        "images": [{"id": image, "height": HEIGHT, "width": WIDTH} for image in range(1, IMAGES + 1)],
        "categories": [{"id": category, "name": f"class {category}"} for category in CLASSES],
        "annotations": annotations,
    }
    return content, boxes, masks


def judged(content: dict, results: list[dict], kind: str, image_ids: list[int] | None = None) -> COCOeval:
    """A run of pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = content
        truth.createIndex()
        found.dataset = content | {"annotations": []}
        found.createIndex()
        run = COCOeval(truth, truth.loadRes([dict(result) for result in results]) if results else found, kind)
        if image_ids is not None:
            run.params.imgIds = image_ids
        for step in (run.evaluate, run.accumulate, run.summarize):
            step()
    return run


def percent(value: float) -> float:
    return 100 * float(value) if value >= 0 else math.nan


def assert_same(scene: Scene, image_ids: list[int] | None = None) -> None:
    """Compare all numbers: `==`, without tolerance; NaN where pycocotools says -1."""
    content, boxes, masks = scene
    scores = coco_metrics(content, boxes, masks, image_ids=image_ids)
    ours = scores.metrics | scores.recalls
    for prefix, results, kind, per_class in (
        ("box", boxes, "bbox", scores.box_per_category),
        ("mask", masks, "segm", scores.per_category),
    ):
        run = judged(content, results, kind, image_ids)
        for key, value in zip(AP_KEYS + AR_KEYS, run.stats, strict=True):
            np.testing.assert_equal(ours[f"{prefix}_{key}"], percent(value), err_msg=f"{prefix}_{key}")
        of_class = run.eval["precision"][:, :, :, 0, -1]
        for i, category in enumerate(run.params.catIds):
            np.testing.assert_equal(per_class[int(category)], percent(of_class[:, :, i].mean()))
        of_any_size = [e for e in run.evalImgs if e and e["aRng"] == run.params.areaRng[0]]
        if kind == "bbox":
            ratios = []
            for e in of_any_size:
                matched = (e["dtMatches"][0] > 0) & ~e["dtIgnore"][0].astype(bool)
                for i in np.array(e["dtIds"], dtype=int)[matched] - 1:
                    area = boxes[i]["bbox"][2] * boxes[i]["bbox"][3]
                    ratios.append(float(coco_mask.area(masks[i]["segmentation"])) / area)
            expected = float(np.mean(ratios)) if ratios else math.nan
            np.testing.assert_equal(scores.metrics["mask_to_box_area"], expected)
        else:
            found: dict[int, float | None] = {}
            for e in of_any_size:
                score_of = dict(zip(e["dtIds"], e["dtScores"], strict=True))
                for id_, match, ignored in zip(e["gtIds"], e["gtMatches"][0], e["gtIgnore"], strict=True):
                    if not ignored:
                        found[id_ - 1] = float(score_of[int(match)]) if match > 0 else None
            assert found_annotations(content, masks, image_ids=image_ids) == found


@pytest.mark.parametrize("crowds", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("seed", range(6))
def test_drawn_scenes(seed: int, crowds: float) -> None:
    assert_same(scene(seed, crowds=crowds))
    assert_same(scene(seed, crowds=crowds), image_ids=[2, 3, 7])


def changed(*, annotations: dict[str, Any] | None = None, results: dict[str, Any] | None = None) -> Scene:
    """A drawn scene in which all annotations or all results have these values."""
    content, boxes, masks = scene(1)
    content = content | {"annotations": [entry | (annotations or {}) for entry in content["annotations"]]}
    boxes, masks = ([entry | (results or {}) for entry in entries] for entries in (boxes, masks))
    return content, boxes, masks


def only(image: int) -> Scene:
    """All annotations and results of a scene in one image: more than 100 detections a class."""
    content, boxes, masks = changed(annotations={"image_id": image}, results={"image_id": image})
    return content, boxes * 8, masks * 8


def with_outlines(outlines: list[list[float]]) -> Scene:
    return changed(annotations={"iscrowd": 0, "segmentation": outlines})


def with_empty_masks() -> Scene:
    content, boxes, masks = scene(2)
    nothing = coco_mask.encode(np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F"))
    counts = {"size": [HEIGHT, WIDTH], "counts": nothing["counts"].decode()}
    return content, boxes, [mask | {"segmentation": counts} for mask in masks]


CASES: dict[str, Callable[[], Scene]] = {
    "no results": lambda: (scene(0)[0], [], []),
    "all scores equal": lambda: changed(results={"score": 0.5}),
    "scores of 0": lambda: changed(results={"score": 0}),
    "negative scores": lambda: changed(results={"score": -1.0}),
    "all crowds": lambda: changed(annotations={"iscrowd": 1, "segmentation": ellipse([0, 0, WIDTH, HEIGHT])}),
    "areas at the limit of small": lambda: changed(annotations={"area": 32**2}),
    "areas at the limit of large": lambda: changed(annotations={"area": 96**2}),
    "areas of 0": lambda: changed(annotations={"area": 0}),
    "runs as numbers": lambda: changed(
        annotations={"segmentation": {"size": [HEIGHT, WIDTH], "counts": [500, 90, 70, 90, WIDTH * HEIGHT - 750]}}
    ),
    "polygons of two parts": lambda: with_outlines([[1, 1, 50.5, 3, 40, 40], [60, 60, 90, 60, 90, 99, 70, 120.25]]),
    "polygons beyond the image": lambda: with_outlines([[-30, -20, 300, 3, 200, 200]]),
    "more than 100 detections": lambda: only(4),
    "empty masks": with_empty_masks,
}


@pytest.mark.parametrize("case", CASES)
def test_cases(case: str) -> None:
    assert_same(CASES[case]())
