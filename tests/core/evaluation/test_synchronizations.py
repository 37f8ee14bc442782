"""How often the detection of a batch would make the host wait for a GPU, counted on the CPU."""

from collections import Counter

import pytest
import torch

from core.config.file import build_config
from core.config.recipe import load_recipe
from core.evaluation.postprocess import detect
from core.model.build import build_model
from core.structures import Batch
from tests.gpu.synchronizations import synchronizations

# The candidates; the number of levels; the candidates of each; what survives NMS: its indices, its numbers.
OF_A_BATCH = 5


def of_a_batch(num_images: int, max_candidates: int, score_threshold: float) -> tuple[Counter[str], list[int]]:
    """The synchronizations, and the number of detections of each image."""
    config = build_config(load_recipe("tiny"), "tiny")
    torch.manual_seed(0)
    model = build_model(config.model, num_classes=3).eval()
    images = torch.randint(0, 256, (num_images, 3, 64, 96), dtype=torch.uint8)
    batch = Batch(images, [], [(60, 90)] * num_images, [*range(num_images)], [(30, 45)] * num_images, [0] * num_images)
    thresholds = {"score_threshold": score_threshold, "nms_threshold": 0.6, "max_detections": 5}
    with torch.inference_mode(), synchronizations("cpu") as found:
        detections = detect(model, batch, **thresholds, max_candidates=max_candidates)
    return found, [len(of_image.scores) for of_image in detections]


@pytest.mark.parametrize("num_images", [1, 2, 4])
@pytest.mark.parametrize("max_candidates", [10, 300])
def test_detection_waits_for_the_gpu_only_where_it_must(num_images: int, max_candidates: int) -> None:
    # Besides: the masks of each image. (The NMS of each waits too, which is not counted.) 48 for two images before.
    found, numbers = of_a_batch(num_images, max_candidates, score_threshold=0.0)
    assert min(numbers) > 0
    assert found.total() <= OF_A_BATCH + num_images, "\n".join(f"{count} {line}" for line, count in found.most_common())


def test_detection_without_candidates_waits_as_often() -> None:
    found, numbers = of_a_batch(2, max_candidates=10, score_threshold=0.99)
    assert numbers == [0, 0]
    assert found.total() <= OF_A_BATCH, found
