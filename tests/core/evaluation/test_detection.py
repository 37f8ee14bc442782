"""The network's part of an evaluation: batches, precision, which images, and results in COCO's form."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.compute.compute import Compute
from core.config import InferenceConfig
from core.evaluation import detection
from core.evaluation.detection import coco_results, detect_images
from core.evaluation.evaluate import evaluate
from core.evaluation.postprocess import encode_masks
from core.structures import Detections, Predictions
from tests.core.evaluation.oracle import CATEGORY_IDS, HEIGHT, WIDTH, Oracle, open_data, write_data


def test_modes_and_random_numbers_are_left_as_they_were(tmp_path: Path) -> None:
    network = Oracle()
    assert network.training
    state = torch.get_rng_state()
    evaluate(network, *open_data(write_data(tmp_path)), InferenceConfig(), Compute())
    assert network.training
    assert network.norm.training
    assert not network.frozen.training
    assert torch.equal(torch.get_rng_state(), state)


def test_modes_come_back_after_an_error(tmp_path: Path) -> None:
    network = Oracle()
    dataset, file = open_data(write_data(tmp_path))
    (tmp_path / "20.png").unlink()
    with pytest.raises(ValueError, match=r"20\.png"):
        evaluate(network, dataset, file, InferenceConfig(), Compute())
    assert network.training


def test_first_images_alone_are_detected_and_compared(tmp_path: Path) -> None:
    dataset, file = open_data(write_data(tmp_path))
    evaluation = evaluate(Oracle(), dataset, file, InferenceConfig(), Compute(), limit=1)
    assert [result["image_id"] for result in evaluation.box_results] == [10, 10]
    assert evaluation.metrics["box_AP"] == pytest.approx(100)  # what image 20 shows is not asked for
    boxes, masks = detect_images(Oracle(), dataset, InferenceConfig(), Compute(), limit=2)
    assert [result["image_id"] for result in boxes] == [result["image_id"] for result in masks] == [10, 10, 20]


def test_the_network_computes_in_the_precision_and_the_batches_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(Oracle):
        def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Predictions:
            sizes.append(len(images))
            return super().forward(images, image_sizes)

    sizes, asked_for = [], []
    monkeypatch.setattr(detection, "autocast", lambda *given: asked_for.append(given) or nullcontext())
    evaluate(
        Counting(), *open_data(write_data(tmp_path)), InferenceConfig(batch_size=2), Compute(), precision="bfloat16"
    )
    assert sizes == [2, 1]
    assert asked_for == [("bfloat16", "cpu")] * 2


def test_results_hold_the_ids_of_the_file_and_xywh_boxes() -> None:
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    mask[0, 2:4, 1:6] = True
    detections = Detections(torch.tensor([[1.0, 2, 6, 4]]), torch.tensor([0.75]), torch.tensor([1]), encode_masks(mask))
    boxes, masks = coco_results(detections, 10, CATEGORY_IDS)
    assert boxes == [{"image_id": 10, "category_id": 8, "score": 0.75, "bbox": [1, 2, 5, 2]}]
    (result,) = masks
    assert isinstance(json.dumps(result), str)
    assert "bbox" not in result
