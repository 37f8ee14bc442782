"""The printed tables: twelve numbers in pycocotools' order, and AP by class."""

import contextlib
import io
import math
import re

import numpy as np
from pycocotools.cocoeval import COCOeval

from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, METRICS, RECALLS
from core.evaluation.tables import class_table, metrics_table


def test_twelve_lines_say_what_pycocotools_says_in_its_order() -> None:
    numbers = {f"{kind}_{key}": 10.0 * i for kind in ("mask", "box") for i, key in enumerate(AP_KEYS + AR_KEYS)}
    metrics = {key: numbers.get(key, 0.0) for key in METRICS}
    heading, *rows = metrics_table(metrics, {key: numbers[key] for key in RECALLS}).splitlines()
    assert heading.split() == ["percent", "boxes", "masks"]
    assert [row.split()[0] for row in rows] == list(AP_KEYS + AR_KEYS)
    assert [[float(cell) for cell in row.split()[-2:]] for row in rows] == [[10.0 * i] * 2 for i in range(12)]

    run = COCOeval(iouType="bbox")  # with a place for every number it prints, all of them 0
    run.eval = {"precision": np.zeros((10, 101, 1, 4, 3)), "recall": np.zeros((10, 1, 4, 3))}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run.summarize()
    lines = [
        re.search(r"IoU=(\S+) +\| area= *(\w+) \| maxDets= *(\d+)", line) for line in printed.getvalue().split("\n")
    ]
    for row, line in zip(rows, lines[:12], strict=True):
        iou, area, detections = line.groups()
        found = re.search(r"IoU (\S+) +(all objects|\w+) +(\d+) detection", row).groups()
        assert found == (iou, "all objects" if area == "all" else area, detections)


def test_a_dash_stands_where_there_is_nothing_to_find() -> None:
    table = metrics_table(dict.fromkeys(METRICS, math.nan), dict.fromkeys(RECALLS, 12.344))
    assert [row.split()[-2:] for row in table.splitlines()[1:]] == [["-", "-"]] * 6 + [["12.34", "12.34"]] * 6


def test_classes_stand_in_their_order_under_one_another() -> None:
    box_ap, mask_ap = {"a class of a long name": 1.0, "cat": 100.0}, {"a class of a long name": 2.5, "cat": math.nan}
    heading, *rows = class_table(box_ap, mask_ap).splitlines()
    assert [row.rsplit(maxsplit=2) for row in rows] == [
        ["a class of a long name", "1.00", "2.50"],
        ["cat", "100.00", "-"],
    ]
    assert len({len(line) for line in [heading, *rows]}) == 1
