"""Mask R-CNN trained from boxes, from masks and from both: which loss terms act, and that boxes teach masks."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.config import Config
from core.datasets.coco import load_training_set
from core.geometry import paste_on_grid
from core.losses.criterion import Losses
from core.model.mask_rcnn import MaskRcnn
from core.structures import Batch
from core.targets.box_mask import box_masks
from core.training.preconditions import check_something_to_learn
from core.training.step import compute_losses
from tests.core.model.small_mask_rcnn import MASKS, NOTHING, TERMS, batch_of, config_of, model_of, root, run

__all__ = ["root"]  # a fixture
BOXES = {"dice": 0.0, "projection": 1.0, "pairwise": 1.0}
EITHER = {"dice": 1.0, "projection": 1.0, "pairwise": 1.0}


def box_only(batch: Batch) -> Batch:
    """The batch without any mask: what the annotations of boxes hold."""
    return replace(
        batch,
        annotations=[
            replace(a, has_mask=torch.zeros_like(a.has_mask), masks=torch.zeros_like(a.masks))
            for a in batch.annotations
        ],
    )


def losses_of(model: MaskRcnn, batch: Batch, config: Config, step: int = 0) -> Losses:
    return compute_losses(model, batch, config, step=step, steps=10, batch_seed=0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_boxes_reach_every_parameter_through_the_terms_of_boxinst(root: Path, precision: str) -> None:
    config = config_of(root, precision=precision, loss=BOXES, mask_ratio=0.0)
    model = model_of(config).train()
    losses = losses_of(model, batch_of(config), config)
    assert list(losses.weighted) == [*TERMS[:-1], "projection", "pairwise"]
    assert all(term.dtype == torch.float32 and term > 0 for term in losses.weighted.values())
    assert 0 < losses.edges_kept < 1
    losses.total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_pairwise_term_warms_up_by_step(root: Path) -> None:
    config = config_of(root, loss=BOXES | {"pairwise_warmup": 0.5}, mask_ratio=0.0)
    model, batch = model_of(config).train(), batch_of(config)
    for step, warmup in ((0, 0.2), (1, 0.4), (4, 1.0), (9, 1.0)):  # five steps of ten
        losses = losses_of(model, batch, config, step)
        assert losses.pairwise_warmup == warmup
        assert losses.weighted["pairwise"] == warmup * losses.unweighted["pairwise"]
        assert losses.weighted["projection"] == losses.unweighted["projection"]


def test_a_box_only_instance_is_learned_without_its_mask(root: Path) -> None:
    config = config_of(root, loss=EITHER)
    model, batch = model_of(config).train(), batch_of(config)
    boxes = box_only(batch)
    drawn = replace(boxes, annotations=[replace(a, masks=torch.ones_like(a.masks)) for a in boxes.annotations])
    without, with_masks = losses_of(model, boxes, config), losses_of(model, drawn, config)
    assert without.unweighted == with_masks.unweighted
    assert without.unweighted["mask"] == 0


def test_in_a_mixed_batch_each_instance_is_learned_from_what_it_has(root: Path) -> None:
    config = config_of(root, loss=EITHER)
    model, batch = model_of(config).train(), batch_of(config)
    masks, boxes = losses_of(model, batch, config).unweighted, losses_of(model, box_only(batch), config).unweighted
    halves = replace(batch, annotations=[*batch.annotations[:2], *box_only(batch).annotations[2:]])
    mixed = losses_of(model, halves, config).unweighted
    assert masks["projection"] == masks["pairwise"] == 0
    for name, whole in (("mask", masks), ("projection", boxes), ("pairwise", boxes)):
        assert 0 < mixed[name] < whole[name]
    for name in TERMS[:-1]:
        assert mixed[name] == masks[name] == boxes[name]


def test_a_batch_of_boxes_without_instances_has_defined_gradients(root: Path) -> None:
    config = config_of(root, loss=BOXES, mask_ratio=0.0)
    model, batch = model_of(config).train(), replace(batch_of(config), annotations=[NOTHING] * 4)
    losses = losses_of(model, batch, config)
    assert losses.unweighted["projection"] == losses.unweighted["pairwise"] == 0
    losses.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_boxes_of_four_images_teach_their_masks(root: Path, tmp_path: Path) -> None:
    config = config_of(root, epochs=60, loss=BOXES | {"pairwise_warmup": 0.3}, mask_ratio=0.0)
    model = run(config, tmp_path).model.eval()
    batch = batch_of(config_of(root))  # with the true masks, which the training had not
    of_masks, of_boxes = [], []
    with torch.no_grad():
        regions = model(batch.images, batch.image_sizes)
        for image_index, a in enumerate(batch.annotations):
            logits = model.predict_masks(regions, image_index, a.boxes, a.labels)
            of_masks.append(mask_iou(paste_on_grid(logits, a.boxes, 24, 24, outside=-1.0) > 0, a.masks))
            of_boxes.append(mask_iou(box_masks(a.boxes, 24, 24), a.masks))
    assert torch.cat(of_masks).mean() > torch.cat(of_boxes).mean() + 0.1


def mask_iou(masks: Bool[Tensor, "G h w"], others: Bool[Tensor, "G h w"]) -> Float[Tensor, " G"]:
    return (masks & others).sum((1, 2)) / (masks | others).sum((1, 2))


def test_boxes_first_and_then_masks(root: Path, tmp_path: Path) -> None:
    config = config_of(root, loss=EITHER, boxes_first=0.5)
    first, last = run(config, tmp_path).curves
    assert first["loss/mask"] == 0 < first["loss/projection"]
    assert last["loss/projection"] == 0 < last["loss/mask"]


@pytest.mark.parametrize(
    ("loss", "supervision", "message"),
    [
        (
            MASKS,
            {"mask_ratio": 0.0},
            r"instances_train\.json: no instance with a mask .* only terms that need one: dice",
        ),
        (
            BOXES,
            {"mask_ratio": 1.0},
            r"instances_train\.json: some instances have masks .* for instances without: proj",
        ),
    ],
)
def test_data_that_no_mask_term_learns_from_is_refused(root: Path, loss: dict, supervision: dict, message: str) -> None:
    config = config_of(root, loss=loss, **supervision)
    with pytest.raises(ValueError, match=message):
        check_something_to_learn(load_training_set(config.data, config.supervision, seed=0), config)


def test_masks_of_all_images_used_or_made_up_masks_are_enough(root: Path) -> None:
    for supervision in ({"mask_ratio": 0.5, "image_ratio": 0.5}, {"mask_ratio": 0.0, "pseudo_masks": "grabcut"}):
        config = config_of(root, **supervision)
        check_something_to_learn(load_training_set(config.data, config.supervision, seed=0), config)
