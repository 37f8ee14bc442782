"""Mask R-CNN: its losses, its mask targets, and whole trainings on a few generated images."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from core.annotate.detected import annotate
from core.compute.compute import Compute
from core.config import Config, InferenceConfig
from core.config.file import build_config
from core.datasets.annotation_file import AnnotationFile
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset, load_training_set
from core.datasets.sources.shapes import generate
from core.datasets.transforms import fixed_view
from core.evaluation.evaluate import evaluate
from core.model.build import build_model
from core.model.mask_rcnn import Anchors, MaskRcnn, mask_targets
from core.structures import Annotations, Batch, Regions
from core.training.loop import TrainingResult, train
from core.training.step import compute_losses

TERMS = ["rpn_class", "rpn_box", "class", "box", "mask"]
MASKS = {"dice": 1.0, "projection": 0.0, "pairwise": 0.0}
NOTHING = Annotations(
    boxes=torch.zeros(0, 4),
    labels=torch.zeros(0, dtype=torch.int64),
    has_mask=torch.zeros(0, dtype=torch.bool),
    masks=torch.zeros(0, 24, 24, dtype=torch.bool),
    mask_centroids=torch.zeros(0, 2),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "shapes"
    generate(folder, {"train": 4, "val": 4}, seed=7, size=96)
    return folder


def config_of(
    root: Path,
    *,
    precision: str = "float32",
    epochs: int = 2,
    loss: Mapping[str, float] = MASKS,
    **supervision,
) -> Config:
    settings = {
        "data": {
            "root": str(root),
            "train_images": "train",
            "train_annotations": "instances_train.json",
            "val_images": "val",
            "val_annotations": "instances_val.json",
            "short_sides": [96],
            "val_short_side": 96,
            "flip_probability": 0.0,
            "ignored_bottom_rows": 0,
        },
        "supervision": {"mask_ratio": 1.0} | supervision,
        "loss": dict(loss),
        "model": {
            "architecture": "mask_rcnn",
            "backbone": {
                "name": "timm:test_resnet",
                "norm": "trained",
                "frozen_stages": 0,
                "channel_order": "RGB",
                "pixel_std": [58.0, 57.0, 57.0],
            },
            "levels": [3, 4, 5],
            "pyramid_channels": 32,
        },
        "assignment": {"size_boundaries": [48, 96]},
        "training": {
            "steps": None,
            "epochs": epochs,
            "batch_size": 4,
            "optimizer": "adamw",
            "learning_rate": 2e-3,
            "schedule": "one_cycle",
            "precision": precision,
        },
    }
    return build_config(settings, "test")


def batch_of(config: Config) -> Batch:
    dataset = load_training_set(config.data, config.supervision, seed=0)
    return collate([dataset[i] for i in range(4)])


def model_of(config: Config) -> MaskRcnn:
    torch.manual_seed(0)
    model = build_model(config.model, 4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm starts the last of each block at 0: its convolutions stand still
            nn.init.ones_(module.weight)
    return model


def run(config: Config, folder: Path, **arguments) -> TrainingResult:
    return train(config, 0, Compute(), folder=folder, digest="d", **arguments)


def comparable(result: TrainingResult) -> tuple[str, str]:
    curves = [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in result.curves]
    return repr(curves), repr(result.evaluation.metrics)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_five_terms_in_float32_reach_every_parameter(root: Path, precision: str) -> None:
    config = config_of(root, precision=precision)
    model = model_of(config).to(memory_format=torch.channels_last).train()
    losses = compute_losses(model, batch_of(config), config, step=0, steps=10, batch_seed=0)
    assert list(losses.weighted) == TERMS
    assert all(term.dtype == torch.float32 and term > 0 for term in losses.weighted.values())
    assert losses.weighted == losses.unweighted
    assert losses.pairwise_warmup == 1
    losses.total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_bfloat16_losses_are_close_to_float32(root: Path) -> None:
    terms = {}
    for precision in ("float32", "bfloat16"):
        config = config_of(root, precision=precision)
        model = model_of(config).train()
        with torch.no_grad():
            terms[precision] = compute_losses(
                model, batch_of(config), config, step=0, steps=10, batch_seed=0
            ).unweighted
    for name in TERMS:
        assert float(terms["bfloat16"][name]) == pytest.approx(float(terms["float32"][name]), rel=0.2), name


def test_losses_depend_on_the_seed_of_the_batch_and_not_on_the_global_generator(root: Path) -> None:
    config = config_of(root)
    model, batch = model_of(config).train(), batch_of(config)

    def total(batch_seed: int) -> float:
        return compute_losses(model, batch, config, step=0, steps=10, batch_seed=batch_seed).total.item()

    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = total(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert total(3) == first
    assert total(4) != first


def test_an_image_without_instances_is_background_and_a_batch_of_them_has_defined_gradients(root: Path) -> None:
    config = config_of(root)
    model, batch = model_of(config).train(), batch_of(config)
    mixed = [NOTHING, *batch.annotations[1:]]
    terms, masks = model.losses(batch.images, batch.image_sizes, mixed)
    assert all(torch.isfinite(term) for term in terms.values())
    terms, masks = model.losses(batch.images, batch.image_sizes, [NOTHING] * 4)
    assert masks.logits.shape == (0, 28, 28)
    assert [terms[name].item() for name in ("rpn_box", "box", "mask")] == [0, 0, 0]
    sum(terms.values()).backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert not gradients["roi_heads.mask_predictor.mask_fcn_logits.weight"].any()


def test_anchors_of_four_strides_stand_on_the_locations() -> None:
    levels = [torch.zeros(2, 8, 3, 2), torch.zeros(2, 8, 2, 1)]
    image, same = Anchors((8, 16))(ImageList(torch.zeros(2, 3, 32, 32), [(32, 32)] * 2), levels)
    assert torch.equal(image, same)
    assert image.shape == (3 * (3 * 2 + 2 * 1), 4)
    widths, heights = (image[:, 2:] - image[:, :2]).T
    torch.testing.assert_close(heights / widths, torch.tensor([0.5, 1, 2]).repeat(8))
    torch.testing.assert_close((widths * heights).sqrt(), torch.tensor([32.0] * 18 + [64.0] * 6))
    # the square at row 0, column 1 of stride 8: its middle at (12, 4)
    assert image[4].tolist() == [-4, -12, 28, 20]
    # the square at row 1, column 0 of stride 16: its middle at (8, 24)
    assert image[22].tolist() == [-24, -8, 40, 56]


def test_regions_stay_inside_the_unpadded_image_whatever_the_padding_holds(root: Path) -> None:
    config = config_of(root)
    model, images = model_of(config).eval(), batch_of(config).images[:1]
    black, white = images.clone(), images.clone()
    black[:, :, 70:], black[:, :, :, 80:] = 0, 0
    white[:, :, 70:], white[:, :, :, 80:] = 255, 255
    with torch.no_grad():
        regions, same = model(black, [(70, 80)]), model(white, [(70, 80)])
    assert len(regions.boxes[0]) > 0
    assert regions.boxes[0].min() >= 0
    assert (regions.boxes[0] <= torch.tensor([80.0, 70, 80, 70])).all()
    assert torch.equal(regions.boxes[0], same.boxes[0])
    assert regions.labels[0].min() >= 0
    assert regions.labels[0].max() <= 3


def test_masks_are_those_of_the_image_asked_for(root: Path) -> None:
    config = config_of(root)
    model, batch = model_of(config).eval(), batch_of(config)
    boxes, labels = torch.tensor([[10.0, 10, 50, 40], [0, 0, 96, 96]]), torch.tensor([3, 0])
    with torch.no_grad():
        together = model.predict_masks(model(batch.images, batch.image_sizes), 2, boxes, labels)
        alone = model.predict_masks(model(batch.images[2:3], batch.image_sizes[2:3]), 0, boxes, labels)
        none = model.predict_masks(model(batch.images, batch.image_sizes), 0, boxes[:0], labels[:0])
    assert together.shape == (2, 28, 28)
    torch.testing.assert_close(together, alone)
    assert none.shape == (0, 28, 28)


def test_the_most_probable_class_of_a_box_is_never_the_background(root: Path) -> None:
    config = config_of(root)
    model, batch = model_of(config).eval(), batch_of(config)
    boxes = torch.tensor([[10.0, 10, 50, 40], [0, 0, 96, 96]])
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([1000.0, 0, 0, 500, 0]))  # background first
        regions = model(batch.images, batch.image_sizes)
        assert model.most_probable_classes(regions, 1, boxes).tolist() == [2, 2]
        assert model.most_probable_classes(regions, 1, boxes[:0]).tolist() == []


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


def test_four_images_are_learned_by_heart(root: Path, tmp_path: Path) -> None:
    curves = run(config_of(root, epochs=30, precision="bfloat16"), tmp_path).curves
    assert curves[-1]["loss/mask"] < 0.7 * curves[0]["loss/mask"]
    assert curves[-1]["loss/total"] < 0.5 * curves[0]["loss/total"]


def test_killed_and_resumed_is_equal_to_the_bit_and_its_checkpoint_annotates_photos(root: Path, tmp_path: Path) -> None:
    config = config_of(root)
    whole = run(config, tmp_path / "whole")

    def kill(numbers: dict) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "killed", on_epoch=kill)
    assert comparable(run(config, tmp_path / "killed")) == comparable(whole)
    checkpoint, out = tmp_path / "killed" / "checkpoint.pt", tmp_path / "annotated"
    assert annotate(checkpoint, root / "val", out, Compute(), min_score=0.0).annotations
    assert len(list(out.glob("*.jpg"))) == 4


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
