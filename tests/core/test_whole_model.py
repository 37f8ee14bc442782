"""The whole network against AdelaiDet: inference, and one training step (golden k).

The weights reach the network as a checkpoint of AdelaiDet's, by its names.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from core.checkpoints.released import load_released_weights, our_name
from core.config import InferenceConfig
from core.datasets.mask_tensors import centers_of_mass, decode, sample_cell_centers
from core.datasets.masks import encode
from core.evaluation.postprocess import detect
from core.model.build import build_model
from core.model.condinst import CondInst
from core.structures import Annotations, Batch
from core.training.step import compute_losses
from tests.core.released_networks import GOLDEN_DIR, NUM_CLASSES, config_of, synthetic_tensors

TRAINED = ["boxinst_stride1x1", "boxinst_stride3x3", "condinst_stride1x1", "condinst_stride3x3"]
NETWORKS = [*TRAINED, "boxinst_r101", "boxinst_r50_bifpn", "boxinst_r101_bifpn_dcn"]
Arrays = dict[str, np.ndarray]
Read = Callable[[str], Arrays]
Written = Callable[[str], Path]

# Float32 sums in another order than AdelaiDet's, through 50 or 101 layers. Errors are relative to the largest value of
# an array: its small values are differences of large ones. Of all pixels of the masks the same share may differ, those
# whose probability is 0.5 to within the error.
TOLERANCE = 2e-5
# A tap's shift is a feature, and the map that it shifts over is steep: with such random weights deformable
# convolutions multiply errors. From float32 to float64 our own network moves by up to 3e-4 there, 3e-6 elsewhere, tried
# on nine sets of weights.
DEFORMABLE_TOLERANCE = 3e-3
LOSS_TOLERANCE = 1e-5  # relative: means over locations, in which the errors of the logits partly cancel
# Relative: a ReLU or a maximum within the error of a tie sends its gradient elsewhere, and on maps of 12x16 cells one
# such switch shows. Other orders of summation move norms by up to 3e-3, tried on four sets of weights.
GRADIENT_TOLERANCE = 1e-2
GRADIENT_FLOOR = 1e-6  # absolute: norms that are zero, or nearly so as the sum of terms that cancel
LOSSES = {
    "loss_fcos_cls": "class",
    "loss_fcos_loc": "box",
    "loss_fcos_ctr": "centerness",
    "loss_prj": "projection",
    "loss_pairwise": "pairwise",
    "loss_mask": "dice",
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """Writes AdelaiDet's checkpoint of a network, once, and removes it in the end: it is large."""
    folder = tmp_path_factory.mktemp("released")

    def write(network: str) -> Path:
        path = folder / f"{network}.pth"
        if not path.exists():
            torch.save({"model": synthetic_tensors(network), "iteration": 89_999}, path)
        return path

    yield write
    for path in folder.iterdir():
        path.unlink()


def loaded(name: str, path: Path) -> CondInst:
    model = build_model(config_of(name).model, NUM_CLASSES)
    load_released_weights(model, path)
    return model


def padded_size(bgr: list[np.ndarray]) -> tuple[int, int]:
    """AdelaiDet's: the largest height and width, rounded up to a multiple of 32."""
    height, width = (-(-max(sides) // 32) * 32 for sides in zip(*(image.shape[1:] for image in bgr), strict=True))
    return height, width


def batch_of(bgr: list[np.ndarray], annotations: list[Annotations], originals: list[tuple[int, int]]) -> Batch:
    """Golden images as one batch; `originals` are the sizes of their files, whose lowest 10 rows are ignored."""
    sizes = [image.shape[1:] for image in bgr]
    images = torch.zeros(len(sizes), 3, *padded_size(bgr), dtype=torch.uint8)
    for padded, image, (height, width) in zip(images, bgr, sizes, strict=True):
        padded[:, :height, :width] = torch.as_tensor(image).flip(0)
    ignored = [int(10 * height / original) for (height, _), (original, _) in zip(sizes, originals, strict=True)]
    return Batch(images, annotations, sizes, list(range(len(sizes))), originals, ignored)


def assert_near(ours: Tensor, theirs: np.ndarray, what: str, tolerance: float = TOLERANCE) -> None:
    expected = torch.as_tensor(theirs).reshape(ours.shape)
    error, scale = (ours - expected).abs().max().item(), expected.abs().max().item()
    assert error <= tolerance * scale, f"{what}: largest error {error:.2e}, largest value {scale:.2e}"


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_inference_is_adelaidets_golden(golden: Read, checkpoint: Written, name: str) -> None:
    arrays = golden(f"k_full_infer_{name}")
    tolerance = DEFORMABLE_TOLERANCE if name.endswith("dcn") else TOLERANCE
    near = partial(assert_near, tolerance=tolerance)
    model = loaded(name, checkpoint(name.partition("_stride")[0])).eval()
    batch = batch_of([arrays["image_bgr_uint8"]], [], [tuple(arrays["output_size"].tolist())])

    maps = model.backbone(model.normalize(batch.images, batch.image_sizes))
    features = dict(zip(("res3", "res4", "res5"), maps, strict=True))
    features |= {f"p{level}": feature for level, feature in enumerate(model.pyramid(maps), 3)}
    for key in [key for key in arrays if key.startswith("feat_") and not key.endswith("_shape")]:
        _, level, part = key.split("_")
        (feature,) = features[level]
        whole = {"chmean": feature.mean((1, 2)), "chstd": feature.std((1, 2), correction=0)}
        ours = whole[part] if part in whole else feature[: len(arrays[key])]
        near(ours, arrays[key], key)

    predictions = model(batch.images, batch.image_sizes)
    locations = torch.arange(len(predictions.locations))
    dynamic = model.controller(predictions.box_tower, torch.zeros_like(locations), locations)
    logits = predictions.class_logits[0]
    if "logits_max" in arrays:  # of each location the largest logit, and of its parameters the first 32
        near(logits.amax(1), arrays["logits_max"], "class logits")
        near(logits[locations, arrays["logits_argmax"]], arrays["logits_max"], "class logits")
        near(dynamic[:, :32], arrays["params_first32"], "dynamic parameters")
    else:
        near(logits, arrays["logits"], "class logits")
        near(dynamic, arrays["params"], "dynamic parameters")
    near(predictions.ltrb[0], arrays["reg"], "ltrb")
    near(predictions.centerness_logits[0], arrays["ctr"], "centerness")
    near(predictions.mask_features, arrays["mask_feats"], "mask features")

    (found,) = detect(model, batch, **InferenceConfig().model_dump(exclude={"batch_size"}))
    distance = torch.cdist(found.boxes, torch.as_tensor(arrays["boxes"]), p=torch.inf)
    distance[found.labels[:, None] != torch.as_tensor(arrays["classes"])] = torch.inf
    partner = distance.argmin(1)  # of each of ours: the nearest of theirs of its class
    assert sorted(partner.tolist()) == list(range(len(arrays["scores"])))
    near(found.boxes, arrays["boxes"][partner], "boxes")
    near(found.scores, arrays["scores"][partner], "scores")
    masks = np.unpackbits(arrays["masks_packed"])[: arrays["masks_shape"].prod()].reshape(arrays["masks_shape"])
    ours = np.stack([coco_mask.decode(mask) for mask in found.masks])
    assert (ours != masks[partner]).mean() <= tolerance


def test_every_recorded_network_is_compared_golden() -> None:
    recorded = {path.stem for path in GOLDEN_DIR.glob("k_full_*.npz")}
    assert recorded == {f"k_full_infer_{name}" for name in NETWORKS} | {f"k_full_train_{name}" for name in TRAINED}


def training_annotations(arrays: Arrays, image: int, size: tuple[int, int], *, with_masks: bool) -> Annotations:
    boxes = torch.as_tensor(arrays[f"boxes{image}"])
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    full = torch.zeros(len(boxes), *size, dtype=torch.uint8)
    if with_masks:
        polygons = [arrays[f"train_poly_im{image}_gt{i}"].tolist() for i in range(len(boxes))]
        full = decode([encode([polygon], *size) for polygon in polygons], *size)
        centers = centers_of_mass(full, centers)
    has_mask = torch.full((len(boxes),), with_masks)
    return Annotations(boxes, torch.as_tensor(arrays[f"classes{image}"]), has_mask, sample_cell_centers(full), centers)


@pytest.mark.parametrize("name", TRAINED)
def test_training_step_is_adelaidets_golden(
    golden: Read, checkpoint: Written, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = golden(f"k_full_train_{name}")
    model = loaded(name, checkpoint(name.partition("_stride")[0])).train()
    images = [arrays[f"image{i}_bgr_uint8"] for i in (0, 1)]
    size, with_masks = padded_size(images), name.startswith("condinst")
    annotations = [training_annotations(arrays, i, size, with_masks=with_masks) for i in (0, 1)]
    originals = [(int(height), image.shape[2]) for height, image in zip(arrays["orig_heights"], images, strict=True)]
    batch = batch_of(images, annotations, originals)
    step = int(arrays["iters_done_before"])  # of 90,000, the first 10,000 of which warm the pairwise term up
    chosen = []
    predict_masks = model.predict_masks
    monkeypatch.setattr(model, "predict_masks", lambda *asked: (chosen.append(asked), predict_masks(*asked))[1])
    losses = compute_losses(model, batch, config_of(name), step=step, steps=90_000, batch_seed=0)
    losses.total.backward()

    ((predictions, image_index, location_index, _),) = chosen
    ours = [image_index, predictions.level_index[location_index], *predictions.locations[location_index].T]
    theirs = [arrays["mask_inst_im_inds"], arrays["mask_inst_levels"], *arrays["mask_inst_locations"].T]
    assert sorted(zip(*(column.tolist() for column in ours), strict=True)) == sorted(
        zip(*(column.tolist() for column in theirs), strict=True)
    )

    expected = {LOSSES[key]: float(arrays[key]) for key in arrays if key.startswith("loss_")}
    ours = {name: value.item() for name, value in losses.weighted.items()}
    assert ours == pytest.approx(expected, rel=LOSS_TOLERANCE)

    gradients = {name: p.grad.double() for name, p in model.named_parameters() if p.requires_grad}
    names = [our_name(name) for name in arrays["grad_names"].tolist()]
    norms = dict(zip(names, arrays["grad_l2"].tolist(), strict=True))
    sums = dict(zip(names, arrays["grad_abs_sum"].tolist(), strict=True))
    near = partial(pytest.approx, rel=GRADIENT_TOLERANCE, abs=GRADIENT_FLOOR)
    assert {name: gradient.norm().item() for name, gradient in gradients.items()} == near(norms)
    assert {name: gradient.abs().sum().item() for name, gradient in gradients.items()} == near(sums)
    for name, first in zip(names, torch.as_tensor(arrays["grad_first8"]), strict=True):
        ours = gradients[name].flatten()[:8]
        assert (ours - first[: len(ours)]).norm() <= GRADIENT_TOLERANCE * norms[name] + GRADIENT_FLOOR, name

    state = model.state_dict()
    for key in [key for key in arrays if key.startswith("bn_after__")]:
        assert_near(state[our_name(key.removeprefix("bn_after__").replace("__", "."))], arrays[key], key)
