"""The same code on a CUDA device: losses and gradients as on the CPU, a training from images to AP."""

from pathlib import Path

import pytest
import torch

from core.compute.compute import Compute
from core.config import Config
from core.config.file import build_config
from core.datasets.batch import collate
from core.datasets.coco import load_training_set
from core.datasets.sources.shapes import generate
from core.losses.pairwise import pairwise_loss
from core.model.build import build_model
from core.neighborhood import Neighborhood
from core.targets.edges import supervised_edges
from core.training.loop import train
from core.training.step import compute_losses
from tests.core.losses.dense_pairwise import dense_pairwise_loss

pytestmark = pytest.mark.gpu
DEVICE = "cuda"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("shapes") / "shapes"
    generate(folder, {"train": 4, "val": 2}, seed=11, size=96)
    splits = {
        f"{split}_{what}": name
        for split in ("train", "val")
        for what, name in (("images", split), ("annotations", f"instances_{split}.json"))
    }
    sizes = {"short_sides": [96], "val_short_side": 96, "long_side_max": 96}
    settings = {
        "data": {"root": str(folder), **splits, **sizes},
        "model": {
            "backbone": {"name": "resnet18", "norm": "trained", "frozen_stages": 0, "pixel_std": [58.0, 57.0, 57.0]},
            "levels": [3, 4, 5],
            "pyramid_channels": 32,
            "head_groups": 8,
            "mask_branch_channels": 32,
        },
        "assignment": {"size_boundaries": [48, 96]},
        "training": {"steps": None, "epochs": 1, "batch_size": 2, "optimizer": "adamw", "learning_rate": 1e-3},
    }
    return build_config(settings, "gpu")


@pytest.mark.parametrize("mask_ratio", [0.0, 0.5, 1.0])
def test_losses_and_gradients_are_those_of_the_cpu(config: Config, mask_ratio: float) -> None:
    supervision = config.supervision.model_copy(update={"mask_ratio": mask_ratio})
    dataset = load_training_set(config.data, supervision, seed=0)
    batch = collate([dataset[i] for i in range(len(dataset))])
    results = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(0)
        model = build_model(config.model, dataset.num_classes).to(device)
        with torch.backends.cudnn.flags(allow_tf32=False):
            losses = compute_losses(model, batch.to(device), config, step=500, steps=1000, batch_seed=0)
            losses.total.backward()
        gradients = {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
        results.append(({name: value.cpu() for name, value in losses.unweighted.items()}, gradients))
    (cpu_losses, cpu_gradients), (losses, gradients) = results
    torch.testing.assert_close(losses, cpu_losses, rtol=1e-4, atol=1e-5)
    assert gradients.keys() == cpu_gradients.keys()
    for name, gradient in gradients.items():
        # float32 sums in another order, through batch norm over few pixels
        error = (gradient - cpu_gradients[name]).norm() / cpu_gradients[name].norm().clamp(min=1e-6)
        assert error < 1e-2, f"{name}: relative difference {error:.2e}"


def test_pairwise_equals_the_dense_form() -> None:
    generator = torch.Generator().manual_seed(0)
    neighborhood = Neighborhood(3, 2)
    box_masks = torch.zeros(4, 40, 48, dtype=torch.bool)
    for i in range(4):
        box_masks[i, 5 * i : 5 * i + 20, 3 * i : 3 * i + 25] = True
    similar = torch.rand(2, 8, 40, 48, generator=generator) < 0.3
    image_index, target_index = torch.tensor([0, 0, 1, 1]), torch.tensor([3, 0, 0, 2, 1])
    logits = 5 * torch.randn(5, 40, 48, generator=generator)
    box_masks, similar, image_index, target_index = (
        x.to(DEVICE) for x in (box_masks, similar, image_index, target_index)
    )
    fast, dense = (logits.to(DEVICE).requires_grad_() for _ in range(2))
    total, count = pairwise_loss(fast, supervised_edges(box_masks, similar, image_index, neighborhood), target_index)
    loss = total / count
    expected = dense_pairwise_loss(dense, box_masks[target_index], similar[image_index[target_index]], neighborhood)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(fast.grad, dense.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_runs_from_images_to_ap(config: Config, tmp_path: Path, precision: str) -> None:
    training = config.training.model_copy(update={"precision": precision})
    trained = train(config.model_copy(update={"training": training}), 0, Compute(DEVICE), folder=tmp_path)
    assert trained.curves[-1]["loss/total"] > 0
    assert 0 <= trained.evaluation.metrics["box_AP"] <= 100
    assert trained.peak_memory_mb > 0
