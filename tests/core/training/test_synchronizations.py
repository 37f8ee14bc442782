"""How often a training step would make the host wait for a GPU, counted on the CPU."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.config import Config
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets.coco import load_training_set
from core.datasets.loader import BatchLoader
from core.datasets.sources.shapes import generate
from core.model.build import build_model
from core.structures import Annotations
from core.training.finite import FiniteChecks
from core.training.optimizer import build_optimizer
from core.training.step import train_step
from tests.gpu.synchronizations import synchronizations

BOXES = {"supervision": {"mask_ratio": 0.0}, "loss": {"dice": 0}, "assignment": {"center": "rasterized_box"}}
MASKS = {"supervision": {"mask_ratio": 1.0}, "assignment": {"center": "mask", "selection": "random", "max_masks": 9}}
BOTH = {"supervision": {"mask_ratio": 0.5}, "loss": {"mask_projection": 1, "mask_pairwise": 1}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapes") / "shapes"
    generate(root, {"train": 4, "val": 1}, seed=3, size=96)
    return root


def of_a_step(config: Config) -> Counter[str]:
    dataset = load_training_set(config.data, config.supervision, seed=0)
    torch.manual_seed(0)
    model = build_model(config.model, dataset.num_classes).train()
    optimizer = build_optimizer(model, config.training)
    checks = FiniteChecks(later=True)  # as on a GPU
    rest = {"steps": 2, "seed": 0, "checks": checks}
    first, second = BatchLoader(dataset, 0).load([[0, 1], [2, 3]], 0)
    train_step(model, optimizer, [first], config, step=0, **rest)
    with synchronizations("cpu") as found:
        annotations = Annotations.to_device(second.annotations, "cpu")  # what `Batch.to` does for a GPU
        train_step(model, optimizer, [replace(second, annotations=annotations)], config, step=1, **rest)
    return found


# Besides the check of the step before, which is over: the positives; their numbers by image and by supervision; for a
# list of edges the pixels of the boxes, and its edges; for a pairwise term the edges of its locations.
@pytest.mark.parametrize(
    ("changes", "most"),
    [(BOXES, 2 + 2 + 1), (MASKS, 2 + 2 + 1), (BOTH, 2 + 2 * (2 + 1))],
    ids=["boxes", "masks", "both"],
)
def test_a_step_waits_for_the_gpu_only_where_it_must(root: Path, changes: dict, most: int) -> None:
    # 46 in a step of BoxInst, before they were counted.
    settings = merge(load_recipe("tiny"), {"data": {"root": str(root)}} | changes)
    found = of_a_step(build_config(settings, "tiny"))
    of_checks = sum(count for line, count in found.items() if line.startswith("core/training/finite.py"))
    assert found.total() - of_checks <= most, "\n".join(f"{count} {line}" for line, count in found.most_common())
