"""The example: torchvision's Mask R-CNN learns masks from boxes, and nothing reads a mask."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from examples import mask_rcnn_from_boxes
from examples.mask_rcnn_from_boxes import learn_from_boxes, load_boxes, losses_from_boxes, train

SIDE = 64


class Backbone(nn.Sequential):
    """Three convolutions, with the output of torchvision's feature pyramids."""

    out_channels = 32

    def __init__(self) -> None:
        sizes = (3, 16, 2), (16, 32, 2), (32, 32, 1)
        super().__init__(*(nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.ReLU()) for i, o, stride in sizes))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"0": super().forward(images)}


def small_mask_rcnn() -> MaskRCNN:
    torch.manual_seed(0)
    return MaskRCNN(
        Backbone(),
        min_size=SIDE,
        max_size=SIDE,
        rpn_anchor_generator=AnchorGenerator(((16, 32, 48),), ((1.0,),)),
        rpn_post_nms_top_n_train=32,
        box_batch_size_per_image=16,
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        box_head=TwoMLPHead(32 * 7 * 7, 64),
        box_predictor=FastRCNNPredictor(64, num_classes=2),
        mask_roi_pool=MultiScaleRoIAlign(["0"], 14, 2),
        mask_head=MaskRCNNHeads(32, (32, 32), dilation=1),
        mask_predictor=MaskRCNNPredictor(32, 32, num_classes=2),
    )


def photo(center: int) -> tuple[Image.Image, list[int]]:
    """An orange disk on blue, and its box (xywh)."""
    image = Image.new("RGB", (SIDE, SIDE), (30, 60, 160))
    box = [center - 14, 18, 28, 28]
    ImageDraw.Draw(image).ellipse((box[0], box[1], box[0] + 28, box[1] + 28), fill=(230, 140, 20))
    return image, box


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photos, one without an annotation; the masks of the others cannot be read."""
    images, annotations = [], []
    for number, center in enumerate((20, 32, 44, 32), 1):
        image, box = photo(center)
        image.save(tmp_path / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": box, "segmentation": "unread", "area": 1}
        )
    content = {"images": images, "annotations": annotations[:3], "categories": [{"id": 1, "name": "disk"}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    return tmp_path


def batch_of(folder: Path) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    dataset = load_boxes(folder, folder / "instances.json")
    images, targets = zip(*(dataset[index] for index in range(len(dataset))), strict=True)
    return list(images), list(targets)


def test_targets_hold_boxes_and_labels_and_no_mask(folder: Path) -> None:
    images, targets = batch_of(folder)
    assert len(images) == 3
    assert all(target.keys() == {"boxes", "labels"} for target in targets)
    assert targets[0]["boxes"].tolist() == [[6, 18, 34, 46]]


def test_the_losses_are_those_of_the_model_with_two_in_place_of_the_mask_loss(folder: Path) -> None:
    images, targets = batch_of(folder)
    model = learn_from_boxes(small_mask_rcnn()).train()
    torch.manual_seed(1)
    ours = losses_from_boxes(model, images, targets, 1.0)
    with_masks = [target | {"masks": torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)} for target in targets]
    torch.manual_seed(1)
    theirs = model(images, with_masks)
    del theirs["loss_mask"]
    assert ours.keys() - theirs.keys() == {"loss_projection", "loss_pairwise"}
    assert {name: ours[name].item() for name in theirs} == {name: loss.item() for name, loss in theirs.items()}


def learn(folder: Path, steps: int) -> tuple[MaskRCNN, list[dict[str, float]]]:
    model = learn_from_boxes(small_mask_rcnn())
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return model, train(model, [batch_of(folder)] * steps, optimizer, first_step=0, warmup_steps=50)


def test_the_mask_losses_fall(folder: Path) -> None:
    _, history = learn(folder, steps=20)
    projection = [losses["loss_projection"] for losses in history]
    assert sum(projection[-5:]) < 0.7 * sum(projection[:5])
    assert all(losses["loss_pairwise"] > 0 for losses in history)


def test_the_command_trains_and_writes_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mask_rcnn_from_boxes, "maskrcnn_resnet50_fpn", lambda num_classes: small_mask_rcnn())
    options = ["--images", folder, "--annotations", folder / "instances.json", "--out", folder / "weights.pt"]
    mask_rcnn_from_boxes.main([*map(str, options), "--epochs", "2", "--device", "cpu"])
    assert "epoch 2: loss_objectness" in capsys.readouterr().out
    learn_from_boxes(small_mask_rcnn()).load_state_dict(torch.load(folder / "weights.pt"))


def iou(first: Tensor, second: Tensor) -> float:
    return ((first & second).sum() / (first | second).sum()).item()


@pytest.mark.slow
def test_the_masks_come_to_be_the_disks_and_not_their_boxes(folder: Path) -> None:
    model, _ = learn(folder, steps=200)
    model.eval()
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    with torch.inference_mode():
        found = model(batch_of(folder)[0])
    for center, detections in zip((20, 32, 44), found, strict=True):
        disk = (x - center).square() + (y - 32).square() <= 14**2
        mask = detections["masks"][0, 0] > 0.5
        # Of its box a disk is pi / 4: the filled box has an IoU of 0.79 with it.
        assert iou(mask, disk) > 0.85
