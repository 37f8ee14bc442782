"""The whole way from images to metrics, with a network that looks its answers up."""

import contextlib
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import nn

from core.compute.compute import Compute
from core.config import BackboneConfig, InferenceConfig, ModelConfig
from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, METRICS, RECALLS
from core.evaluation.evaluate import evaluate
from core.evaluation.submission import write_results
from core.model.build import build_model
from tests.core.evaluation.oracle import HEIGHT, WIDTH, Oracle, open_data, write_data


@pytest.mark.parametrize("batch_size", [1, 2])
def test_right_boxes_and_masks_have_ap_100(tmp_path: Path, batch_size: int) -> None:
    evaluation = evaluate(Oracle(), *open_data(write_data(tmp_path)), InferenceConfig(batch_size=batch_size), Compute())
    assert tuple(evaluation.metrics) == METRICS
    assert tuple(evaluation.recalls) == RECALLS
    assert evaluation.metrics["box_AP"] == evaluation.recalls["box_AR100"] == pytest.approx(100)
    assert evaluation.metrics["mask_AP50"] == pytest.approx(100)
    assert evaluation.metrics["mask_to_box_area"] == pytest.approx(1, abs=0.1)
    assert list(evaluation.per_class) == ["class 3", "class 8"]
    assert evaluation.box_per_class == {"class 3": pytest.approx(100), "class 8": pytest.approx(100)}
    assert [result["category_id"] for result in evaluation.mask_results] == [3, 8, 3]
    assert [result["image_id"] for result in evaluation.mask_results] == [10, 10, 20]


def test_resized_images_are_compared_in_the_frame_of_their_file(tmp_path: Path) -> None:
    dataset, file = open_data(write_data(tmp_path), short_side=2 * HEIGHT)
    assert dataset[0].image.shape == (3, 2 * HEIGHT, 2 * WIDTH)
    evaluation = evaluate(Oracle(), dataset, file, InferenceConfig(), Compute())
    assert evaluation.metrics["box_AP"] == pytest.approx(100)
    assert evaluation.metrics["mask_AP50"] == pytest.approx(100)
    assert evaluation.mask_results[0]["segmentation"]["size"] == [HEIGHT, WIDTH]


def test_area_ratio_tells_half_masks_from_filled_boxes(tmp_path: Path) -> None:
    dataset, file = open_data(write_data(tmp_path))
    full = evaluate(Oracle(), dataset, file, InferenceConfig(), Compute()).metrics
    half = evaluate(Oracle(height_share=0.5), dataset, file, InferenceConfig(), Compute()).metrics
    assert half["box_AP"] == full["box_AP"]
    assert half["mask_to_box_area"] == pytest.approx(full["mask_to_box_area"] / 2, abs=0.05)


def test_nothing_detected_has_ap_0(tmp_path: Path) -> None:
    evaluation = evaluate(Oracle(blind=True), *open_data(write_data(tmp_path)), InferenceConfig(), Compute())
    assert evaluation.metrics["box_AP"] == evaluation.metrics["mask_AP"] == 0
    assert math.isnan(evaluation.metrics["mask_to_box_area"])
    assert evaluation.per_class == {"class 3": 0, "class 8": 0}
    assert evaluation.box_results == evaluation.mask_results == []


def test_images_without_objects_have_nothing_to_find(tmp_path: Path) -> None:
    dataset, file = open_data(write_data(tmp_path, {30: []}))
    evaluation = evaluate(Oracle(), dataset, file, InferenceConfig(), Compute())
    assert all(math.isnan(value) for value in evaluation.metrics.values())


def test_boxes_only_file_has_box_ap_alone(tmp_path: Path) -> None:
    dataset, file = open_data(write_data(tmp_path, masks=False))
    evaluation = evaluate(Oracle(), dataset, file, InferenceConfig(), Compute())
    assert evaluation.metrics["box_AP"] == pytest.approx(100)
    assert math.isnan(evaluation.metrics["mask_AP"])
    assert all(math.isnan(value) for value in evaluation.per_class.values())


def test_written_results_give_the_same_ap_in_pycocotools(tmp_path: Path) -> None:
    annotations = write_data(tmp_path)
    evaluation = evaluate(Oracle(height_share=0.8), *open_data(annotations), InferenceConfig(), Compute())
    for kind, prefix, results in (
        ("bbox", "box", evaluation.box_results),
        ("segm", "mask", evaluation.mask_results),
    ):
        path = tmp_path / f"{kind}.json"
        write_results(results, path)
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(annotations))
            for annotation in truth.dataset["annotations"]:
                annotation["id"] += 1  # pycocotools takes id 0 for "not found"
            truth.createIndex()
            run = COCOeval(truth, truth.loadRes(str(path)), kind)
            run.evaluate()
            run.accumulate()
            run.summarize()
        expected = [100 * value if value >= 0 else math.nan for value in run.stats]
        numbers = evaluation.metrics | evaluation.recalls
        np.testing.assert_array_equal([numbers[f"{prefix}_{key}"] for key in AP_KEYS + AR_KEYS], expected)


def test_malformed_crowd_is_refused_before_the_network_runs(tmp_path: Path) -> None:
    path = write_data(tmp_path)
    content = json.loads(path.read_text())
    crowd = {"id": 9, "image_id": 20, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1, "area": 81}
    content["annotations"].append(crowd | {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [7]}})
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"instances\.json: 1 problem.*\n  annotation 9 \(image 20\): .* covers 7 pixels"
    ):
        evaluate(nn.Module(), *open_data(path), InferenceConfig(), Compute())


def test_a_data_set_is_not_compared_with_the_file_of_another(tmp_path: Path) -> None:
    dataset, file = open_data(write_data(tmp_path))
    other = replace(file, path=tmp_path / "instances_train.json")
    with pytest.raises(ValueError, match=r"data set was read from .*instances\.json, expected .*instances_train\.json"):
        evaluate(nn.Module(), dataset, other, InferenceConfig(), Compute())


def test_an_evaluation_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    dataset, file = open_data(write_data(tmp_path))
    before = json.dumps(file.content)
    first, second = (evaluate(Oracle(), dataset, file, InferenceConfig(), Compute()) for _ in range(2))
    assert json.dumps(file.content) == before
    assert first == second


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_untrained_network_is_evaluated_from_image_to_metrics(
    tmp_path: Path, precision: Literal["float32", "bfloat16"]
) -> None:
    torch.manual_seed(0)
    settings = ModelConfig(
        backbone=BackboneConfig(name="resnet18", frozen_stages=0, stride_in_1x1=False),
        levels=(3, 4, 5),
        pyramid_channels=32,
        head_convs=1,
        mask_branch_channels=16,
        mask_branch_convs=1,
        class_prior=0.5,  # so that junk is detected
    )
    model = build_model(settings, num_classes=2)
    dataset, file = open_data(write_data(tmp_path))
    evaluation = evaluate(model, dataset, file, InferenceConfig(batch_size=2), Compute(), precision=precision)
    assert len(evaluation.mask_results) == len(evaluation.box_results) > 3
    assert tuple(evaluation.metrics) == METRICS
    assert 0 <= evaluation.metrics["mask_AP"] <= 100
