"""The backbone: from an image to the feature maps C3, C4 and C5 at strides 8, 16 and 32."""

from typing import Literal

import timm
import torchvision
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from core.model.deformable import make_deformable
from core.model.depthwise import keep_depthwise_in_float32
from core.model.frozen_norm import freeze_norms
from core.model.pretrained import load_weights

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
STRIDES = (8, 16, 32)


class ResNet(nn.Module):
    """torchvision's ResNet without its classifier, with the same parameter names.

    With `stride_in_1x1`, bottlenecks have their stride in the first 1x1 convolution, as in the MSRA weights that
    detectron2 uses; otherwise in the 3x3 convolution, as in torchvision. Basic blocks (18, 34) have only one layout.
    """

    def __init__(self, *, name: str, stride_in_1x1: bool) -> None:
        super().__init__()
        resnet = getattr(torchvision.models, name)(weights=None)
        self.conv1, self.bn1, self.relu, self.maxpool = resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4
        width = resnet.fc.in_features
        self.channels = (width // 4, width // 2, width)
        for layer in (self.layer2, self.layer3, self.layer4):
            first = layer[0]
            if stride_in_1x1 and isinstance(first, Bottleneck):
                first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride

    def deform(self, interval: int) -> None:
        """Make the 3x3 convolution of every `interval`-th bottleneck of res3, res4 and res5 deformable."""
        for layer in (self.layer2, self.layer3, self.layer4):
            make_deformable(layer, interval)

    def freeze(self, stages: int) -> None:
        """Freeze the weights of the first stages: 1: the stem, 2: also res2 (`layer1`), ..."""
        parts = [[self.conv1, self.bn1], [self.layer1], [self.layer2], [self.layer3], [self.layer4]]
        for part in parts[:stages]:
            for module in part:
                module.requires_grad_(False)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        c3 = self.layer2(self.layer1(x))
        c4 = self.layer3(c3)
        return [c3, c4, self.layer4(c4)]


class TimmBackbone(nn.Module):
    """A timm network up to its map of stride 32; later layers are not built.

    Raises:
        ValueError: if timm has no such network, or it has no maps at strides 8, 16 and 32.
    """

    def __init__(self, *, name: str) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise ValueError(f"backbone.name is 'timm:{name}', but timm {timm.__version__} has no such network")
        strides = timm.create_model(name, pretrained=False, features_only=True).feature_info.reduction()
        if not set(STRIDES) <= set(strides):
            raise ValueError(f"backbone.name is 'timm:{name}', which has maps at strides {strides}, expected {STRIDES}")
        indices = tuple(strides.index(stride) for stride in STRIDES)
        self.trunk = timm.create_model(name, pretrained=False, features_only=True, out_indices=indices)
        self.channels = tuple(self.trunk.feature_info.channels())

    def freeze(self, stages: int) -> None:
        """Freeze all weights up to the last map of stride 2 ** stages or less."""
        fixed = [info["module"] for info in self.trunk.feature_info.info if info["reduction"] <= 2**stages]
        if not fixed:
            return
        # timm lists modules in order of use, some with flattened names: `stages_0` for `stages.0`.
        modules = [(f"{name}.".replace(".", "_"), module) for name, module in self.trunk.named_modules()]
        end = f"{fixed[-1]}.".replace(".", "_")
        last = max(i for i, (name, _) in enumerate(modules) if name.startswith(end))
        for _, module in modules[: last + 1]:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        return list(self.trunk(images))


def build_backbone(
    *,
    name: str,
    weights: str | None,
    norm: Literal["frozen", "trained"],
    frozen_stages: int,
    stride_in_1x1: bool,
    deformable_interval: int | None = None,
) -> ResNet | TimmBackbone:
    """Build a backbone, load its weights and freeze stages: 1: the stem (stride 2), 2: also res2 (stride 4), ...

    Batch norm is frozen everywhere with `norm` "frozen", otherwise only in frozen stages. Convolutions become
    deformable (see `ResNet.deform`) after the weights are loaded, because these have no offsets.

    Raises:
        ValueError: for an unknown name, or weights of another network.
    """
    if name.startswith("timm:"):
        backbone = TimmBackbone(name=name.removeprefix("timm:"))
    elif name in RESNETS:
        backbone = ResNet(name=name, stride_in_1x1=stride_in_1x1)
    else:
        raise ValueError(f"backbone.name is '{name}', expected one of {', '.join(RESNETS)} or timm:<name>")
    if weights is not None:
        load_weights(backbone.trunk if isinstance(backbone, TimmBackbone) else backbone, weights)
    if deformable_interval is not None:
        backbone.deform(deformable_interval)
    backbone.freeze(frozen_stages)
    freeze_norms(backbone, trained_too=norm == "frozen")
    keep_depthwise_in_float32(backbone)
    return backbone
