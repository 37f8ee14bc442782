"""Parts of the network, and all of it with its losses, as components (`tests.gpu.components`)."""

import torch
from torch import Tensor, nn

from core.model.build import build_model
from core.model.controller import Controller
from core.model.deformable import DeformableConvolution
from core.model.fcos_head import FcosHead
from core.model.mask_branch import MaskBranch
from core.model.mask_head import MaskHead
from core.training.step import compute_losses
from tests.gpu.case import Case, Results, gradients

CHANNELS = 32


def _levels(case: Case, count: int) -> list[Tensor]:
    random, (height, width) = case.random(), case.size
    sizes = [(-(-height // stride), -(-width // stride)) for stride in (8, 16, 32, 64, 128)[:count]]
    return case.moved(*(torch.randn(2, CHANNELS, *size, generator=random) for size in sizes))


def _built(case: Case, build) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build().train().to(case.device)


def _trained(outputs: Tensor, module: nn.Module, inputs: list[Tensor]) -> Results:
    """The outputs, and the gradients of a number computed from them: for inputs, and for all parameters as a vector."""
    weights = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape).to(outputs.device)
    parameters = [p for p in module.parameters() if p.requires_grad]
    of_all = torch.autograd.grad((outputs * weights).mean(), [*inputs, *parameters])
    of_inputs, of_parameters = of_all[: len(inputs)], of_all[len(inputs) :]
    found = {"output": outputs} | {f"gradient of input {i}": g for i, g in enumerate(of_inputs)}
    return found | ({"gradient of parameters": torch.cat([g.flatten() for g in of_parameters])} if parameters else {})


def mask_branch(case: Case) -> Results:
    module = _built(case, lambda: MaskBranch(in_channels=CHANNELS, channels=32, num_convs=2, out_channels=16))
    levels = _levels(case, 3)
    return _trained(module(levels), module, levels)


def _locations(case: Case, count: int) -> list[Tensor]:
    """Image and location of some instances."""
    cells = sum(-(-case.size[0] // s) * -(-case.size[1] // s) for s in (8, 16, 32))
    index = torch.randint(cells, (count,), generator=case.random())
    return [t.to(case.device) for t in (torch.arange(count) % 2, index)]


def controller(case: Case) -> Results:
    module = _built(case, lambda: Controller(channels=CHANNELS, num_dynamic_params=233))
    levels = _levels(case, 3)
    return _trained(module(levels, *_locations(case, 3 * case.per_image)), module, levels)


def mask_head(case: Case) -> Results:
    count, head = 3 * case.per_image, MaskHead(feature_channels=16, channels=8, num_layers=3)
    random = case.random()
    features = torch.randn(2, 16, case.size[0] // 8, case.size[1] // 8, generator=random)
    params = 0.2 * torch.randn(count, head.num_dynamic_params, generator=random)
    features, params = case.moved(features, params)
    locations = (case.boxes(count)[:, :2] + 16).to(case.device)
    scales = torch.tensor([64.0, 128.0]).repeat(count)[:count].to(case.device)
    image_index = (torch.arange(count) % 2).to(case.device)
    logits = head(features, params, image_index, locations, scales)
    return gradients(logits.square().mean(), features=features, params=params) | {"logits": logits}


def fcos_head(case: Case) -> Results:
    sizes = {"channels": CHANNELS, "num_classes": 3, "num_levels": 3, "num_convs": 2, "num_groups": 4}
    module = _built(case, lambda: FcosHead(**sizes, class_prior=0.01))
    levels = _levels(case, 3)
    class_logits, ltrb, centerness, _ = module(levels)
    return _trained(torch.cat([class_logits, ltrb, centerness[..., None]], 2), module, levels)


def deformable(case: Case) -> Results:
    def build() -> DeformableConvolution:
        module = DeformableConvolution(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False))
        nn.init.normal_(module.offset.weight, std=0.02)
        return module

    module, levels = _built(case, build), _levels(case, 3)[2:]
    return _trained(module(levels[0]), module, levels)


def regions(case: Case) -> Results:
    """Mask R-CNN's masks of given boxes: pyramid, RoIAlign and mask head."""
    config = case.config(model=case.config().model.model_dump() | {"architecture": "mask_rcnn"})
    model = _built(case, lambda: build_model(config.model, 3)).eval()
    batch = case.batch()
    boxes, labels = batch.annotations[1].boxes, batch.annotations[1].labels
    with torch.no_grad():
        return {"logits": model.predict_masks(model(batch.images, batch.image_sizes), 1, boxes, labels)}


def whole(case: Case) -> Results:
    """A training step of CondInst, of instances with and without masks, up to the gradients."""
    config = case.config()
    model = _built(case, lambda: build_model(config.model, 3))
    found = compute_losses(model, case.batch(), config, step=500, steps=1000, batch_seed=0)
    found.total.backward()
    of_parameters = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return {f"loss {name}": value for name, value in found.unweighted.items()} | {
        "gradient of parameters": torch.cat(of_parameters)
    }
