import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.evaluation.coco_metrics import coco_metrics
from core.evaluation.resampled_ap import image_draws, mask_matches, resampled_ap

SIDE = 24


def square(left: int, top: int, side: int) -> dict:
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8, order="F")
    mask[top : top + side, left : left + side] = 1
    encoding = coco_mask.encode(mask)
    return encoding | {"counts": encoding["counts"].decode()}


@pytest.fixture
def case() -> tuple[dict, list[dict]]:
    """Six images of two classes with squares, and detections of different quality, some of nothing."""
    generator = np.random.default_rng(0)
    annotations, results = [], []
    for image in range(1, 7):
        for _ in range(int(generator.integers(0, 4))):
            left, top, side = (int(generator.integers(low, high)) for low, high in ((0, 10), (0, 10), (5, 12)))
            category = int(generator.integers(1, 3))
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": category}
                | {"bbox": [left, top, side, side], "area": side * side, "segmentation": square(left, top, side)}
                | {"iscrowd": int(generator.random() < 0.15)}
            )
            shift = int(generator.integers(0, 4))
            results.append(
                {"image_id": image, "category_id": category, "score": float(generator.random())}
                | {"segmentation": square(left + shift, top, side)}
            )
        results.append(
            {"image_id": image, "category_id": 1, "score": float(generator.random()), "segmentation": square(0, 0, 6)}
        )
    images = [{"id": image, "height": SIDE, "width": SIDE, "file_name": f"{image}.png"} for image in range(1, 7)]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    return {"images": images, "categories": categories, "annotations": annotations}, results


def repeated(content: dict, results: list[dict], draw: np.ndarray) -> tuple[dict, list[dict]]:
    """The sample as a file of its own, in which an image that was drawn twice is two images."""
    images, annotations, found = [], [], []
    for image, count in zip(content["images"], draw, strict=True):
        for _ in range(count):
            new = len(images) + 1
            images.append(image | {"id": new})
            annotations += [a | {"image_id": new} for a in content["annotations"] if a["image_id"] == image["id"]]
            found += [result | {"image_id": new} for result in results if result["image_id"] == image["id"]]
    annotations = [annotation | {"id": index} for index, annotation in enumerate(annotations, 1)]
    return content | {"images": images, "annotations": annotations}, found


def test_the_ap_of_a_sample_is_that_of_a_file_with_its_images(case):
    content, results = case
    draws = np.vstack([np.ones((1, 6), dtype=int), image_draws(6, draws=20)])
    matches = mask_matches(content, results, image_ids=range(1, 7), category_ids=[1, 2])
    for draw, ap in zip(draws, resampled_ap(matches, draws), strict=True):
        sample, found = repeated(content, results, draw)
        boxes = [result | {"bbox": [0, 0, 1, 1]} for result in found]
        boxes = [{key: value for key, value in box.items() if key != "segmentation"} for box in boxes]
        expected = coco_metrics(sample, boxes, found).metrics["mask_AP"]
        assert ap == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_draws_have_as_many_images_and_are_equal_for_equal_seeds():
    draws = image_draws(150, draws=200)
    assert draws.shape == (200, 150)
    assert (draws.sum(axis=1) == 150).all()
    assert (draws == image_draws(150, draws=200)).all()
    assert (draws != image_draws(150, draws=200, seed=1)).any()


def test_without_detections_it_is_0_and_without_objects_nan(case):
    content, _ = case
    matches = mask_matches(content, [], image_ids=range(1, 7), category_ids=[1, 2])
    assert resampled_ap(matches, np.ones((1, 6), dtype=int)).tolist() == [0.0]
    matches = mask_matches(content | {"annotations": []}, [], image_ids=range(1, 7), category_ids=[1, 2])
    assert np.isnan(resampled_ap(matches, np.ones((1, 6), dtype=int))).all()
