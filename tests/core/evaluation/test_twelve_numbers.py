"""The twelve numbers of COCO on random data with crowds as scattered blots: pycocotools is the judge."""

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, RECALLS, coco_metrics
from tests.core.evaluation.rectangles import SIZE, annotation, file_of, results_of


def runs_of(mask: np.ndarray) -> dict[str, Any]:
    """COCO's uncompressed form, which its crowds have: lengths of the runs of 0, 1, 0, ... column by column."""
    pixels = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(pixels)) + 1
    runs = np.diff([0, *edges, len(pixels)]).tolist()
    return {"size": list(mask.shape), "counts": [0, *runs] if pixels[0] else runs}


def crowd_in(box: tuple[int, ...], rng: np.random.Generator) -> dict[str, Any]:
    """A crowd of scattered blots inside of the box."""
    x, y, width, height = box
    blots = rng.random((height // 4 + 1, width // 4 + 1)) < 0.6
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[y : y + height, x : x + width] = blots.repeat(4, 0).repeat(4, 1)[:height, :width]
    return {"iscrowd": 1, "segmentation": runs_of(mask), "area": int(mask.sum())}


def random_case(seed: int) -> tuple[dict, list[dict], list[dict]]:
    """20 images, 3 classes, small to large rectangles, crowds; detections are jittered objects and junk.

    The last image is full, so that AR1 and AR10 leave detections out, and some scores are equal.
    """
    rng = np.random.default_rng(seed)
    categories = (1, 3, 9)
    annotations, boxes, masks = [], [], []
    for image in range(1, 21):
        for _ in range(40 if image == 20 else rng.integers(0, 6)):
            width, height = rng.integers(4, 220), rng.integers(4, 180)
            x, y = rng.integers(0, SIZE[1] - width), rng.integers(0, SIZE[0] - height)
            box = tuple(int(value) for value in (x, y, width, height))
            category = int(rng.choice(categories))
            crowd = crowd_in(box, rng) if rng.random() < 0.15 else {}
            annotations.append(annotation(box, image=image, category=category, **crowd))
            for _ in range(rng.integers(0, 6)):
                shift = rng.integers(0, 8, size=4)
                x1, y1 = max(box[0] - shift[0], 0), max(box[1] - shift[1], 0)
                near = tuple(int(value) for value in (x1, y1, box[2] + shift[2], box[3] + shift[3]))
                label = category if rng.random() < 0.8 else int(rng.choice(categories))
                found = results_of(
                    [near],
                    [round(float(rng.random()), 2)],
                    masks=[(*near[:2], near[2], near[3] * 9 // 10 + 1)],
                    image=image,
                    category=label,
                )
                boxes += found[0]
                masks += found[1]
    return file_of(annotations, images=20, categories=categories), boxes, masks


def pycocotools_statistics(path: Path, results: list[dict], kind: str) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        run = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


@pytest.mark.parametrize("seed", [0, 2])
def test_all_twelve_numbers_equal_those_of_pycocotools_with_crowds(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    truth, boxes, masks = random_case(seed)
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(truth))
    before = copy.deepcopy((truth, boxes, masks))
    scores = coco_metrics(truth, boxes, masks)
    assert (truth, boxes, masks) == before  # pycocotools writes into what it is given
    assert capsys.readouterr().out == ""
    assert tuple(scores.recalls) == RECALLS
    numbers = scores.metrics | scores.recalls
    for kind, results in (("bbox", boxes), ("segm", masks)):
        expected = 100 * pycocotools_statistics(path, results, kind)
        assert (expected > 0).all()  # every size range is there
        prefix = {"bbox": "box", "segm": "mask"}[kind]
        np.testing.assert_array_equal([numbers[f"{prefix}_{key}"] for key in AP_KEYS + AR_KEYS], expected)
    assert np.mean(list(scores.per_category.values())) == pytest.approx(scores.metrics["mask_AP"])
    assert np.mean(list(scores.box_per_category.values())) == pytest.approx(scores.metrics["box_AP"])

    as_objects = copy.deepcopy(truth)
    for entry in as_objects["annotations"]:
        entry["iscrowd"] = 0
    assert coco_metrics(as_objects, boxes, masks).metrics["mask_AP"] != scores.metrics["mask_AP"]
