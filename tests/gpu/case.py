"""Inputs of the components, the same on every device: made on the CPU from a seed, then moved."""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.config import Config
from core.config.file import build_config
from core.structures import Annotations, Batch

Results = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A batch of two images and what goes with it; `small` for a CPU."""

    device: str
    small: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the padded images."""
        return (96, 128) if self.small else (800, 1344)

    @property
    def grid(self) -> tuple[int, int]:
        return self.size[0] // 4, self.size[1] // 4

    @property
    def per_image(self) -> int:
        """Instances of an image."""
        return 4 if self.small else 20

    def random(self) -> torch.Generator:
        return torch.Generator().manual_seed(0)

    def moved(self, *tensors: Tensor) -> list[Tensor]:
        """The tensors on the device, as leaves of their own; those of numbers collect gradients."""
        copies = [tensor.detach().clone().to(self.device) for tensor in tensors]
        return [copy.requires_grad_(copy.is_floating_point()) for copy in copies]

    def boxes(self, count: int) -> Tensor:
        """Boxes (xyxy, px) inside the images, of a fourth to a half of their sides."""
        height, width = self.size
        sides = torch.tensor([width, height]) * (0.25 + 0.25 * torch.rand(count, 2, generator=self.random()))
        room = torch.tensor([width, height]) - 8 - sides
        start = room * torch.rand(count, 2, generator=self.random().manual_seed(1)) + 0.3
        return torch.cat([start, start + sides], dim=1)

    def masks(self, count: int) -> Tensor:
        """An ellipse in each of `boxes`, on the mask grid."""
        h, w = self.grid
        x1, y1, x2, y2 = (self.boxes(count) / 4).T[:, :, None, None]
        y, x = torch.arange(h)[:, None] + 0.5, torch.arange(w) + 0.5
        return (2 * (x - x1) / (x2 - x1) - 1) ** 2 + (2 * (y - y1) / (y2 - y1) - 1) ** 2 < 1

    def logits(self, count: int) -> Tensor:
        return 3 * torch.randn(count, *self.grid, generator=self.random())

    def annotations(self) -> list[Annotations]:
        """Of two images; every other instance has its mask."""
        count = self.per_image
        boxes, masks = self.boxes(2 * count), self.masks(2 * count)
        has_mask = torch.arange(2 * count) % 2 == 0
        masks &= has_mask[:, None, None]
        labels = torch.arange(2 * count) % 3
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        parts = zip(*(part.split(count) for part in (boxes, labels, has_mask, masks, centers)), strict=True)
        return [Annotations(*part) for part in parts]

    def images(self) -> Tensor:
        """Patches of similar colors with some noise."""
        height, width = self.size
        random = self.random()
        patches = torch.randint(256, (2, 3, height // 16, width // 16), generator=random).float()
        images = patches.repeat_interleave(16, 2).repeat_interleave(16, 3)
        return (images + 3 * torch.randn(images.shape, generator=random)).clamp(0, 255).to(torch.uint8)

    def batch(self) -> Batch:
        height, width = self.size
        sizes = [(height, width - 11), (height - 5, width)]
        on_cpu = Batch(self.images(), self.annotations(), sizes, [1, 2], sizes, [3, 0])
        return on_cpu.to(self.device)

    def config(self, **changes: dict) -> Config:
        """A small network whose parts are those of the paper's."""
        backbone = {"name": "resnet18", "norm": "trained", "frozen_stages": 0, "pixel_std": [58.0, 57.0, 57.0]}
        model = {"backbone": backbone, "pyramid_channels": 32, "head_groups": 4, "mask_branch_channels": 32}
        both = {"mask_projection": 1, "mask_pairwise": 1}
        settings = {"model": model, "assignment": {"center": "rasterized_box"}, "loss": both, **changes}
        return build_config(settings, "components")


def gradients(total: Tensor, **inputs: Tensor) -> Results:
    """The value, and its gradient for each input."""
    of_inputs = torch.autograd.grad(total, list(inputs.values()))
    return {"value": total} | {f"gradient of {name}": g for name, g in zip(inputs, of_inputs, strict=True)}
