"""Mask R-CNN: its losses, anchors, regions, masks and classes."""

from pathlib import Path

import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from core.model.mask_rcnn import Anchors
from core.training.step import compute_losses
from tests.core.model.small_mask_rcnn import NOTHING, TERMS, batch_of, config_of, model_of, root

__all__ = ["root"]  # a fixture


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
