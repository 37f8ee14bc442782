"""FCOS head: class, box and centerness of every location, from towers shared by all levels."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class GroupNorm(nn.GroupNorm):
    """Group norm in float32, as autocast does on a GPU; torch's bfloat16 kernel for the CPU is several times slower.

    On a CPU, group norm is also slow for groups of fewer than 8 channels (AdelaiDet's groups have 8).
    """

    def forward(self, x: Float[Tensor, "B C i j"]) -> Float[Tensor, "B C i j"]:
        return super().forward(x.to(self.weight.dtype)).to(x.dtype)


def tower(channels: int, num_convs: int, num_groups: int) -> nn.Sequential:
    layers = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), GroupNorm(num_groups, channels), nn.ReLU()]
    return nn.Sequential(*layers)


class FcosHead(nn.Module):
    """FCOS (arXiv:1904.01355) as in AdelaiDet: centerness is predicted on the box tower, ltrb = ReLU(scale * conv).

    Each level has its own scale. `class_prior` is the initial probability of each class.
    Returns class logits, ltrb in strides and centerness logits in float32, ordered by level, then row-major cell; and
    the maps of the box tower, the input of CondInst's controller.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_classes: int,
        num_levels: int,
        num_convs: int,
        num_groups: int,
        class_prior: float,
    ) -> None:
        super().__init__()
        self.class_tower = tower(channels, num_convs, num_groups)
        self.box_tower = tower(channels, num_convs, num_groups)
        self.class_logits = nn.Conv2d(channels, num_classes, 3, padding=1)
        self.ltrb = nn.Conv2d(channels, 4, 3, padding=1)
        self.centerness = nn.Conv2d(channels, 1, 3, padding=1)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in range(num_levels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        nn.init.constant_(self.class_logits.bias, -math.log((1 - class_prior) / class_prior))

    def forward(
        self, levels: list[Float[Tensor, "B C _ _"]]
    ) -> tuple[Float[Tensor, "B P K"], Float[Tensor, "B P 4"], Float[Tensor, "B P"], list[Float[Tensor, "B C _ _"]]]:
        class_logits, ltrb, centerness, box_features = [], [], [], []
        for level, scale in zip(levels, self.scales, strict=True):
            features = self.box_tower(level)
            box_features.append(features)
            class_logits.append(by_location(self.class_logits(self.class_tower(level))))
            ltrb.append(functional.relu(scale * by_location(self.ltrb(features))))
            centerness.append(by_location(self.centerness(features)).squeeze(2))
        return torch.cat(class_logits, 1), torch.cat(ltrb, 1), torch.cat(centerness, 1), box_features


def by_location(maps: Float[Tensor, "B C i j"]) -> Float[Tensor, "B locations C"]:
    return maps.permute(0, 2, 3, 1).flatten(1, 2).float()
