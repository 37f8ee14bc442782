"""The whole network against AdelaiDet: inference, one training step, and the reading of its checkpoints (golden k).

The weights reach the network as a checkpoint of AdelaiDet's, by its names.
"""

import importlib.util
import json
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from core.config import AssignmentConfig, BackboneConfig, Config, InferenceConfig, LossConfig, ModelConfig
from core.datasets.masks import centers_of_mass, decode, encode, sample_cell_centers
from core.model.condinst import CondInst, build_model
from core.postprocess import detect
from core.released_weights import load_released_weights, our_name
from core.structures import Annotations, Batch
from core.training_step import compute_losses

GOLDEN_DIR = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parents[1] / "golden"))
HEIGHT, WIDTH = 96, 128  # padded size of the golden images
NUM_CLASSES = 80
NETWORKS = ["boxinst_stride1x1", "boxinst_stride3x3", "condinst_stride1x1", "condinst_stride3x3", "boxinst_r101"]
Arrays = dict[str, np.ndarray]
Read = Callable[[str], Arrays]
Written = Callable[[str], Path]

# Float32 sums in another order than AdelaiDet's, through 50 or 101 layers. Errors are relative to the largest value of
# an array: its small values are differences of large ones.
TOLERANCE = 2e-5
# Share of all pixels: one differs where its probability is 0.5 to within that error.
DIFFERING_PIXELS = 2e-5
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


def synthetic_tensors(network: str) -> dict[str, Tensor]:
    """AdelaiDet's state dict of `network`, of the golden folder's synthetic weights."""
    spec = importlib.util.spec_from_file_location("synthetic_weights", GOLDEN_DIR / "synthetic_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arrays = module.synthetic_state_dict(json.loads((GOLDEN_DIR / f"state_dict_{network}.json").read_text()))
    return {name: torch.as_tensor(array) for name, array in arrays.items()}


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


def config_of(name: str) -> Config:
    """AdelaiDet's settings of one of the `NETWORKS`."""
    depth = "resnet101" if "r101" in name else "resnet50"
    backbone = BackboneConfig(name=depth, stride_in_1x1=not name.endswith("3x3"))
    if name.startswith("condinst"):
        return Config(
            model=ModelConfig(backbone=backbone, mask_feature_channels=8),
            assignment=AssignmentConfig(center="mask", selection="random", max_masks=500),
            loss=LossConfig(dice=1, projection=0, pairwise=0),
        )
    assignment = AssignmentConfig(center="rasterized_box")
    return Config(model=ModelConfig(backbone=backbone), assignment=assignment, loss=LossConfig(dice=0))


def loaded(name: str, path: Path) -> CondInst:
    model = build_model(config_of(name).model, NUM_CLASSES)
    load_released_weights(model, path)
    return model


def batch_of(bgr: list[np.ndarray], annotations: list[Annotations], originals: list[tuple[int, int]]) -> Batch:
    """Golden images as one batch; `originals` are the sizes of their files, whose lowest 10 rows are ignored."""
    sizes = [image.shape[1:] for image in bgr]
    images = torch.zeros(len(sizes), 3, HEIGHT, WIDTH, dtype=torch.uint8)
    for padded, image, (height, width) in zip(images, bgr, sizes, strict=True):
        padded[:, :height, :width] = torch.as_tensor(image).flip(0)
    ignored = [int(10 * height / original) for (height, _), (original, _) in zip(sizes, originals, strict=True)]
    return Batch(images, annotations, sizes, list(range(len(sizes))), originals, ignored)


def assert_near(ours: Tensor, theirs: np.ndarray, what: str) -> None:
    expected = torch.as_tensor(theirs).reshape(ours.shape)
    error = ((ours - expected).abs().max() / expected.abs().max()).item()
    assert error <= TOLERANCE, f"{what}: largest relative error {error:.2e}"


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_inference_is_adelaidets_golden(golden: Read, checkpoint: Written, name: str) -> None:
    arrays = golden(f"k_full_infer_{name}")
    model = loaded(name, checkpoint(name.partition("_stride")[0])).eval()
    batch = batch_of([arrays["image_bgr_uint8"]], [], [tuple(arrays["output_size"].tolist())])

    maps = model.backbone(model.normalize(batch.images, batch.image_sizes))
    features = dict(zip(("res3", "res4", "res5"), maps, strict=True))
    features |= {f"p{level}": feature for level, feature in enumerate(model.pyramid(maps), 3)}
    for key in [key for key in arrays if key.startswith("feat_") and not key.endswith(("_shape", "_chstd"))]:
        _, level, part = key.split("_")
        (feature,) = features[level]
        ours = feature.mean((1, 2)) if part == "chmean" else feature[: len(arrays[key])]
        assert_near(ours, arrays[key], key)

    predictions = model(batch.images, batch.image_sizes)
    locations = torch.arange(len(predictions.locations))
    dynamic = model.controller(predictions.box_tower, torch.zeros_like(locations), locations)
    logits = predictions.class_logits[0]
    if "logits_max" in arrays:  # of each location the largest logit, and of its parameters the first 32
        assert_near(logits.amax(1), arrays["logits_max"], "class logits")
        assert_near(logits[locations, arrays["logits_argmax"]], arrays["logits_max"], "class logits")
        assert_near(dynamic[:, :32], arrays["params_first32"], "dynamic parameters")
    else:
        assert_near(logits, arrays["logits"], "class logits")
        assert_near(dynamic, arrays["params"], "dynamic parameters")
    assert_near(predictions.ltrb[0], arrays["reg"], "ltrb")
    assert_near(predictions.centerness_logits[0], arrays["ctr"], "centerness")
    assert_near(predictions.mask_features, arrays["mask_feats"], "mask features")

    (found,) = detect(model, batch, **InferenceConfig().model_dump(exclude={"batch_size"}))
    distance = torch.cdist(found.boxes, torch.as_tensor(arrays["boxes"]), p=torch.inf)
    distance[found.labels[:, None] != torch.as_tensor(arrays["classes"])] = torch.inf
    partner = distance.argmin(1)  # of each of ours: the nearest of theirs of its class
    assert sorted(partner.tolist()) == list(range(len(arrays["scores"])))
    assert_near(found.boxes, arrays["boxes"][partner], "boxes")
    assert_near(found.scores, arrays["scores"][partner], "scores")
    masks = np.unpackbits(arrays["masks_packed"])[: arrays["masks_shape"].prod()].reshape(arrays["masks_shape"])
    ours = np.stack([coco_mask.decode(mask) for mask in found.masks])
    assert (ours != masks[partner]).mean() <= DIFFERING_PIXELS


def training_annotations(arrays: Arrays, image: int, *, with_masks: bool) -> Annotations:
    boxes = torch.as_tensor(arrays[f"boxes{image}"])
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    full = torch.zeros(len(boxes), HEIGHT, WIDTH, dtype=torch.uint8)
    if with_masks:
        polygons = [arrays[f"train_poly_im{image}_gt{i}"].tolist() for i in range(len(boxes))]
        full = decode([encode([polygon], HEIGHT, WIDTH) for polygon in polygons], HEIGHT, WIDTH)
        centers = centers_of_mass(full, centers)
    has_mask = torch.full((len(boxes),), with_masks)
    return Annotations(boxes, torch.as_tensor(arrays[f"classes{image}"]), has_mask, sample_cell_centers(full), centers)


@pytest.mark.parametrize("name", NETWORKS[:4])
def test_training_step_is_adelaidets_golden(golden: Read, checkpoint: Written, name: str) -> None:
    arrays = golden(f"k_full_train_{name}")
    model = loaded(name, checkpoint(name.partition("_stride")[0])).train()
    images = [arrays[f"image{i}_bgr_uint8"] for i in (0, 1)]
    annotations = [training_annotations(arrays, i, with_masks=name.startswith("condinst")) for i in (0, 1)]
    originals = [(int(height), image.shape[2]) for height, image in zip(arrays["orig_heights"], images, strict=True)]
    batch = batch_of(images, annotations, originals)
    step = int(arrays["iters_done_before"])  # of 90,000, the first 10,000 of which warm the pairwise term up
    losses = compute_losses(model, batch, config_of(name), step=step, steps=90_000, seed=0)
    losses.total.backward()

    expected = {LOSSES[key]: float(arrays[key]) for key in arrays if key.startswith("loss_")}
    ours = {name: value.item() for name, value in losses.weighted.items()}
    assert ours == pytest.approx(expected, rel=LOSS_TOLERANCE)

    norms = {our_name(name): norm for name, norm in zip(arrays["grad_names"], arrays["grad_l2"].tolist(), strict=True)}
    ours = {name: p.grad.double().norm().item() for name, p in model.named_parameters() if p.requires_grad}
    assert ours == pytest.approx(norms, rel=GRADIENT_TOLERANCE, abs=GRADIENT_FLOOR)

    state = model.state_dict()
    for key in [key for key in arrays if key.startswith("bn_after__")]:
        assert_near(state[our_name(key.removeprefix("bn_after__").replace("__", "."))], arrays[key], key)


def condinst_zeros() -> dict[str, Tensor]:
    """AdelaiDet's names and shapes, every tensor one zero seen many times: a small file."""
    tensors = json.loads((GOLDEN_DIR / "state_dict_condinst.json").read_text())["state_dict"]
    return {tensor["name"]: torch.zeros(()).expand(tensor["shape"]) for tensor in tensors}


@pytest.fixture(scope="module")
def condinst() -> CondInst:
    """A network that no test changes: what it is offered is refused."""
    return build_model(config_of("condinst").model, NUM_CLASSES)


def test_bare_state_dict_is_read_too_golden(tmp_path: Path) -> None:
    torch.save(condinst_zeros() | {"pixel_mean": torch.zeros(3, 1, 1)}, tmp_path / "bare.pth")
    model = loaded("condinst", tmp_path / "bare.pth")
    assert all((tensor == 0).all() for tensor in model.state_dict().values())


def test_renamed_missing_and_reshaped_tensors_are_refused_by_name_golden(condinst: CondInst, tmp_path: Path) -> None:
    tensors = condinst_zeros()
    tensors["backbone.bottom_up.res3.0.downsample.weight"] = tensors.pop("backbone.bottom_up.res3.0.shortcut.weight")
    del tensors["proposal_generator.fcos_head.scales.2.scale"]
    tensors["controller.bias"] = torch.zeros(233)  # BoxInst's; CondInst has 169
    torch.save({"model": tensors}, tmp_path / "other.pth")
    before = {name: tensor.clone() for name, tensor in condinst.state_dict().items()}
    with pytest.raises(ValueError, match=r"other\.pth: not the tensors of this network") as refused:
        load_released_weights(condinst, tmp_path / "other.pth")
    missing, left_over, misshapen = str(refused.value).split("; ")
    names = "backbone.bottom_up.res3.0.shortcut.weight, proposal_generator.fcos_head.scales.2.scale"
    assert missing.endswith(f": 2 missing ({names})")
    assert left_over == "1 left over (backbone.bottom_up.res3.0.downsample.weight)"
    assert misshapen == "1 of the wrong shape (controller.bias (233,) instead of (169,))"
    assert all(torch.equal(tensor, before[name]) for name, tensor in condinst.state_dict().items())


@dataclass
class Intruder:
    folder: Path

    def __reduce__(self) -> tuple:  # what an unpickler that obeys calls
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))])
def test_file_with_code_is_refused_and_the_code_not_run(condinst: CondInst, tmp_path: Path, write: Callable) -> None:
    write({"model": {}, "hook": Intruder(tmp_path / "ran")}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match=r"code\.pth: no torch file that holds tensors and nothing that runs"):
        load_released_weights(condinst, tmp_path / "code.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["pixel_mean", "mask_head._iter", "a.num_batches_tracked", "head.ltrb.bias"])
def test_names_without_counterpart_have_none(name: str) -> None:
    assert our_name(name) is None
