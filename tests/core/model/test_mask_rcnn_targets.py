"""The mask targets of Mask R-CNN: by hand, in its loss, and what a perfect mask head would reach."""

from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import box_iou

from core.compute.compute import Compute
from core.config import InferenceConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset
from core.datasets.sources.shapes import generate
from core.datasets.transforms import fixed_view
from core.evaluation.evaluate import evaluate
from core.model.mask_rcnn import mask_targets
from core.structures import Regions
from tests.core.model.small_mask_rcnn import NOTHING, batch_of, config_of, model_of, root

__all__ = ["root"]  # a fixture


def test_a_target_switches_half_way_between_two_samples_of_the_grid() -> None:
    # Columns 0..2 hold the pixels 2, 6, 10, whose middles are 2.5, 6.5, 10.5; column 3 lies at 14.5. The edge is at
    # 12.5. Cells of 2 px around it, with their middles at 9.5, 11.5, 13.5, 15.5: 1, 3/4, 1/4, 0.
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[1, :, :3] = True
    boxes = torch.tensor([[8.5, 4.0, 16.5, 12.0]])
    target = mask_targets(masks, boxes, torch.tensor([1]), 4)
    assert torch.equal(target, torch.tensor([1, 0.75, 0.25, 0]).expand(1, 4, 4))
    transposed = mask_targets(masks.mT, boxes[:, [1, 0, 3, 2]], torch.tensor([1]), 4)
    assert torch.equal(transposed, target.mT)
    assert not mask_targets(masks, boxes, torch.tensor([0]), 4).any()


class Oracle(nn.Module):
    """Knows the boxes of every image; its masks are the targets that a perfect mask head would learn."""

    def __init__(self, dataset: CocoDataset) -> None:
        super().__init__()
        self.samples = [dataset[i] for i in range(len(dataset))]

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Regions:
        (self.annotations,) = [s.annotations for s in self.samples if torch.equal(s.image, images[0])]
        scores = torch.linspace(0.9, 0.8, len(self.annotations.boxes))
        return Regions([self.annotations.boxes], [scores], [self.annotations.labels], {}, tuple(images.shape[2:]))

    def predict_masks(
        self, regions: Regions, image_index: int, boxes: Float[Tensor, "N 4"], labels: Int64[Tensor, " N"]
    ) -> Float[Tensor, "N m m"]:
        return mask_targets(self.annotations.masks, boxes, torch.arange(len(boxes)), 28).logit(eps=1e-4)


def test_a_perfect_mask_head_reaches_a_high_ap(tmp_path: Path) -> None:
    generate(tmp_path / "shapes", {"val": 6}, seed=3, size=160)
    file = AnnotationFile.read(tmp_path / "shapes" / "instances_val.json", tmp_path / "shapes" / "val")
    dataset = CocoDataset(file, view_of=partial(fixed_view, short_side=160, long_side_max=160))
    metrics = evaluate(Oracle(dataset), dataset, file, InferenceConfig(), Compute()).metrics
    assert metrics["box_AP"] > 99
    assert metrics["mask_AP"] > 80  # the grid of stride 4 sets the limit


def test_the_mask_term_is_the_mean_cross_entropy_of_all_cells_to_the_bit(root: Path) -> None:
    config = config_of(root)
    model, batch = model_of(config).train(), batch_of(config)
    torch.manual_seed(0)
    terms, masks = model.losses(batch.images, batch.image_sizes, batch.annotations)
    target = mask_targets(torch.cat([a.masks for a in batch.annotations]), masks.boxes, masks.target_index, 28)
    total = functional.binary_cross_entropy_with_logits(masks.logits, target, reduction="sum")
    assert torch.equal(terms["mask"], total / masks.logits.numel())
    assert len(masks.logits) > 4


def test_each_region_shows_the_instance_that_it_overlaps(root: Path) -> None:
    config = config_of(root)
    model, batch = model_of(config).train(), batch_of(config)
    _, masks = model.losses(batch.images, batch.image_sizes, [NOTHING, *batch.annotations[1:]])
    boxes = torch.cat([a.boxes for a in batch.annotations[1:]])
    assert len(set(masks.target_index.tolist())) == len(boxes)  # each box is among its own regions
    assert (box_iou(masks.boxes, boxes)[torch.arange(len(masks.boxes)), masks.target_index] >= 0.5).all()
