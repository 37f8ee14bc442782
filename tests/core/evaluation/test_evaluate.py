"""The whole way from images to metrics, with a network that looks its answers up."""

import contextlib
import io
import json
import math
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn

from core.compute.compute import Compute
from core.config import BackboneConfig, InferenceConfig, ModelConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset
from core.datasets.transforms import fixed_view
from core.evaluation import detection
from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, METRICS, RECALLS
from core.evaluation.detection import coco_results, detect_images
from core.evaluation.evaluate import evaluate
from core.evaluation.postprocess import encode_masks
from core.evaluation.submission import write_results
from core.geometry import ltrb_from_boxes, pyramid_locations
from core.model.build import build_model
from core.structures import Detections, Predictions

HEIGHT, WIDTH = 48, 64
BOXES = {  # xywh by image id; the gray value of an image is its id
    10: [(8, 8, 24, 16), (40, 16, 16, 24)],
    20: [(16, 4, 40, 40)],
    30: [],
}
CATEGORY_IDS = (3, 8)  # labels 0 and 1; the first box of an image is of label 0, the second of label 1


def write_data(root: Path, boxes: dict[int, list[tuple[int, ...]]] = BOXES, *, masks: bool = True) -> Path:
    """Gray images whose instances are rectangles, and their annotation file."""
    annotations = []
    for image_id, of_image in boxes.items():
        Image.new("RGB", (WIDTH, HEIGHT), (image_id,) * 3).save(root / f"{image_id}.png")
        for label, (x, y, width, height) in enumerate(of_image):
            outline = [float(v) for v in (x, y, x + width, y, x + width, y + height, x, y + height)]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": image_id,
                    "category_id": CATEGORY_IDS[label],
                    "bbox": [x, y, width, height],
                }
                | ({"segmentation": [outline], "area": width * height, "iscrowd": 0} if masks else {})
            )
    images = [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in boxes]
    categories = [{"id": i, "name": f"class {i}"} for i in CATEGORY_IDS]
    path = root / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def open_data(path: Path, short_side: int = HEIGHT) -> tuple[CocoDataset, AnnotationFile]:
    file = AnnotationFile.read(path, path.parent)
    return CocoDataset(file, view_of=partial(fixed_view, short_side=short_side, long_side_max=1000)), file


class Oracle(nn.Module):
    """Finds every object of BOXES, told by the gray value of the image; masks are the rectangles.

    `height_share` makes the masks lower than their objects, from the bottom. Stride 4, one level.
    """

    def __init__(self, *, blind: bool = False, height_share: float = 1.0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.frozen = nn.BatchNorm2d(1).eval()
        self.blind = blind
        self.height_share = height_share

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Predictions:
        assert not self.training
        assert not torch.is_grad_enabled()
        grid = (images.shape[2] // 4, images.shape[3] // 4)
        locations, level_index, strides = pyramid_locations([grid], [4])
        class_logits = torch.full((len(images), len(locations), 2), -20.0)
        ltrb = torch.ones(len(images), len(locations), 4)
        self.boxes = torch.zeros(len(images), len(locations), 4)
        for image, (height, _) in enumerate(image_sizes):
            for label, (x, y, w, h) in enumerate(BOXES[int(images[image, 0, 0, 0])]):
                box = torch.tensor([x, y, x + w, y + h]) * (height / HEIGHT)
                distances = ltrb_from_boxes(locations, box.expand(len(locations), 4))
                center = int(distances.amin(1).argmax())
                class_logits[image, center, label] = -20.0 if self.blind else 4.0 - label
                ltrb[image, center] = distances[center] / 4
                self.boxes[image, center] = box
        centerness_logits = torch.full((len(images), len(locations)), 20.0)
        features = torch.zeros(len(images), 1, *grid)
        return Predictions(class_logits, ltrb, centerness_logits, locations, level_index, strides, [], features)

    def predict_masks(
        self,
        predictions: Predictions,
        image_index: Int64[Tensor, " N"],
        location_index: Int64[Tensor, " N"],
        num_per_image: list[int],
    ) -> Float[Tensor, "N h w"]:
        height, width = predictions.mask_features.shape[-2:]
        # Cell i samples pixel 4i + 2; its probability crosses 0.5 half way to the next cell: at pixel 4i + 4.
        y, x = torch.arange(height)[:, None] * 4 + 2, torch.arange(width) * 4 + 2
        x1, y1, x2, y2 = self.boxes[image_index, location_index][:, :, None, None].unbind(1)
        y2 = y1 + (y2 - y1) * self.height_share
        inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
        return inside.float() * 40 - 20


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


def test_first_images_alone_are_detected_and_compared(tmp_path: Path) -> None:
    dataset, file = open_data(write_data(tmp_path))
    evaluation = evaluate(Oracle(), dataset, file, InferenceConfig(), Compute(), limit=1)
    assert [result["image_id"] for result in evaluation.box_results] == [10, 10]
    assert evaluation.metrics["box_AP"] == pytest.approx(100)  # what image 20 shows is not asked for
    boxes, masks = detect_images(Oracle(), dataset, InferenceConfig(), Compute(), limit=2)
    assert [result["image_id"] for result in boxes] == [result["image_id"] for result in masks] == [10, 10, 20]


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


def test_results_hold_the_ids_of_the_file_and_xywh_boxes() -> None:
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    mask[0, 2:4, 1:6] = True
    detections = Detections(torch.tensor([[1.0, 2, 6, 4]]), torch.tensor([0.75]), torch.tensor([1]), encode_masks(mask))
    boxes, masks = coco_results(detections, 10, CATEGORY_IDS)
    assert boxes == [{"image_id": 10, "category_id": 8, "score": 0.75, "bbox": [1, 2, 5, 2]}]
    (result,) = masks
    assert isinstance(json.dumps(result), str)
    assert "bbox" not in result


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
