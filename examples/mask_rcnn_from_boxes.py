"""Train torchvision's Mask R-CNN from boxes alone: the two losses of BoxInst replace its mask loss.

    pip install .  # in a clone of the project: the library
    python examples/mask_rcnn_from_boxes.py --images photos --annotations instances.json --out mask_rcnn.pt

The annotations are a COCO file, of which boxes and categories are read. The training loop is torchvision's, except that
it calls `losses_from_boxes(model, images, targets)` in place of `model(images, targets)`.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import roi_align
from torchvision.transforms import v2

from boxinst import Neighborhood, pairwise_loss, pairwise_warmup, projection_loss, supervised_edges

# One cell long. The last layer predicts each block of 2 x 2 cells by four weights; the paper's edges of two cells would
# only join cells of the same weight, and four masks that know nothing of each other interleave.
EDGES = Neighborhood(size=3, dilation=1)
Targets = list[dict[str, Tensor]]

RIM = 0.2  # of its sides, around a region on which a mask is predicted
RIM_CELLS = 4  # of the 28 cells of a mask, which cover the region with its rims: 28 * 0.2 / 1.4


class PoolWithRim(nn.Module):
    """Lets the mask branch see around its regions: what is outside of a box is what shows the background inside."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, features: dict[str, Tensor], regions: list[Tensor], sizes: list[tuple[int, int]]) -> Tensor:
        return self.pool(features, [with_rim(of_image) for of_image in regions], sizes)


class PredictWithoutRim(nn.Module):
    """The masks of regions with their rims in training, and without them in use."""

    def __init__(self, predictor: nn.Module) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, features: Tensor) -> Tensor:
        mask_logits = self.predictor(features)
        kept = slice(None) if self.training else slice(RIM_CELLS, -RIM_CELLS)
        return mask_logits[..., kept, kept]


def with_rim(boxes: Tensor) -> Tensor:
    rim = RIM * (boxes[:, 2:] - boxes[:, :2])
    return torch.cat([boxes[:, :2] - rim, boxes[:, 2:] + rim], dim=1)


def learn_from_boxes(model: MaskRCNN) -> MaskRCNN:
    """Give the mask branch of the model its rims, for training and for use; also before trained weights are loaded."""
    heads = model.roi_heads
    heads.mask_roi_pool, heads.mask_predictor = (
        PoolWithRim(heads.mask_roi_pool),
        PredictWithoutRim(heads.mask_predictor),
    )
    return model


def losses_from_boxes(model: MaskRCNN, images: list[Tensor], targets: Targets, warmup: float) -> dict[str, Tensor]:
    """The losses of `model(images, targets)`, with two that need only boxes in place of `loss_mask`.

    The model comes from `learn_from_boxes`.
    """
    # These lines are the model's own forward in training.
    images, targets = model.transform(images, targets)
    features = model.backbone(images.tensors)
    proposals, losses = model.rpn(images, features, targets)
    heads, sizes = model.roi_heads, images.image_sizes
    asked_for = [target | {"masks": None} for target in targets]  # it checks that there is such a key
    regions, matched, labels, deltas = heads.select_training_samples(proposals, asked_for)
    box_features = heads.box_head(heads.box_roi_pool(features, regions, sizes))
    class_logits, box_deltas = heads.box_predictor(box_features)
    losses["loss_classifier"], losses["loss_box_reg"] = fastrcnn_loss(class_logits, box_deltas, labels, deltas)
    positive = [of_image > 0 for of_image in labels]
    regions = [of_image[chosen] for of_image, chosen in zip(regions, positive, strict=True)]
    mask_logits = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(features, regions, sizes)))

    # From here on it is ours. A mask covers its region, so the image of this mask is what the region shows.
    regions = [with_rim(of_image) for of_image in regions]
    classes = torch.cat(labels)[torch.cat(positive)]
    mask_logits = mask_logits[torch.arange(len(classes)), classes]
    side = 4 * mask_logits.shape[-1]  # pixels, for the losses' default of 4 x 4 to a cell of the mask
    mean, std = images.tensors.new_tensor([model.transform.image_mean, model.transform.image_std])[..., None, None]
    crops = roi_align(images.tensors * std + mean, regions, side)
    of_region = zip(targets, matched, positive, strict=True)
    boxes = torch.cat([target["boxes"][instance[chosen]] for target, instance, chosen in of_region])
    corner, opposite = torch.cat(regions).split(2, dim=1)
    boxes = (boxes - corner.repeat(1, 2)) / (opposite - corner).repeat(1, 2) * side
    own_crop = torch.arange(len(boxes), device=boxes.device)
    edges = supervised_edges(crops, boxes, own_crop, neighborhood=EDGES)
    losses["loss_projection"] = projection_loss(mask_logits, boxes)
    losses["loss_pairwise"] = warmup * pairwise_loss(mask_logits, edges)
    return losses


def train(
    model: MaskRCNN,
    batches: Iterable[tuple[list[Tensor], Targets]],
    optimizer: torch.optim.Optimizer,
    *,
    first_step: int,
    warmup_steps: int,
) -> list[dict[str, float]]:
    """Torchvision's loop over the batches of an epoch; returns the losses of every step."""
    model.train()
    history = []
    for step, (images, targets) in enumerate(batches, first_step):
        losses = losses_from_boxes(model, images, targets, pairwise_warmup(step, warmup_steps))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
    return history


def load_boxes(images: Path, annotations: Path) -> Dataset:
    """Pairs of an image (floats in 0..1) and its target (boxes and labels, which are category ids); no masks."""
    transforms = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.SanitizeBoundingBoxes()])
    dataset = CocoDetection(images, annotations, transforms=transforms)
    dataset.ids = [image_id for image_id in dataset.ids if dataset.coco.getAnnIds(image_id)]
    return wrap_dataset_for_transforms_v2(dataset, target_keys=("boxes", "labels"))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO file of boxes")
    parser.add_argument("--out", type=Path, required=True, help="file for the weights")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    dataset = load_boxes(options.images, options.annotations)
    loader = DataLoader(
        dataset, options.batch_size, shuffle=True, collate_fn=lambda samples: tuple(zip(*samples, strict=True))
    )
    model = learn_from_boxes(maskrcnn_resnet50_fpn(num_classes=max(dataset.coco.getCatIds()) + 1)).to(options.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0025 * options.batch_size, momentum=0.9, weight_decay=1e-4)
    warmup_steps = options.epochs * len(loader) // 10
    for epoch in range(options.epochs):
        batches = (
            (
                [image.to(options.device) for image in images],
                [{name: value.to(options.device) for name, value in target.items()} for target in targets],
            )
            for images, targets in loader
        )
        history = train(model, batches, optimizer, first_step=epoch * len(loader), warmup_steps=warmup_steps)
        means = {name: sum(step[name] for step in history) / len(history) for name in history[0]}
        print(f"epoch {epoch + 1}:", ", ".join(f"{name} {value:.3f}" for name, value in means.items()), flush=True)
    torch.save(model.state_dict(), options.out)


if __name__ == "__main__":
    main()
