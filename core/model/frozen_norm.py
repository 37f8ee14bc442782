"""Batch norm with fixed statistics and affine parameters, for fine-tuning pretrained backbones."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FrozenBatchNorm2d


class FrozenBatchNorm(FrozenBatchNorm2d):
    """torchvision's frozen batch norm, followed by `activation`; the output has the dtype of the input.

    torchvision's own forward converts bfloat16 to float32, because its buffers are float32.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, activation: nn.Module | None = None) -> None:
        super().__init__(num_features, eps)
        self.activation = nn.Identity() if activation is None else activation

    def forward(self, x: Float[Tensor, "B C i j"]) -> Float[Tensor, "B C i j"]:
        x = functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return self.activation(x)


def freeze_norms(module: nn.Module, *, trained_too: bool) -> None:
    """Replace all batch norms inside `module` by frozen ones with the same values and names.

    Without `trained_too`, replace only those whose weight requires no gradient.
    """
    for name, child in module.named_children():
        if not isinstance(child, nn.BatchNorm2d):
            freeze_norms(child, trained_too=trained_too)
        elif trained_too or not child.weight.requires_grad:
            # timm fuses the activation into its batch norm
            frozen = FrozenBatchNorm(child.num_features, child.eps, getattr(child, "act", None))
            with torch.no_grad():
                for key in ("weight", "bias", "running_mean", "running_var"):
                    getattr(frozen, key).copy_(getattr(child, key))
            setattr(module, name, frozen)
