"""Mask head: a small network per instance, with weights from the controller, applied to the image's mask features."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from core.aligned_upsample import aligned_upsample
from core.geometry import pyramid_locations
from core.structures import MASK_FEATURE_STRIDE, MASK_STRIDE


class MaskHead(nn.Module):
    """CondInst's dynamic head (arXiv:2003.05664): 1x1 convolutions with ReLU between, one output channel.

    Its inputs are, in this order, the relative coordinates x and y (instance location minus cell location, divided
    by the scale of the level of the location) and the mask features. It has no parameters of its own.
    """

    def __init__(self, *, feature_channels: int, channels: int, num_layers: int) -> None:
        super().__init__()
        widths = [2 + feature_channels, *[channels] * (num_layers - 1), 1]
        self.layers = list(zip(widths[1:], widths[:-1], strict=True))  # (out, in) of each layer

    @property
    def num_dynamic_params(self) -> int:
        """233 for BoxInst (16 mask features), 169 for CondInst (8)."""
        return sum(out * (width + 1) for out, width in self.layers)

    def split(
        self, dynamic_params: Float[Tensor, "N D"]
    ) -> tuple[list[Float[Tensor, "N _ _"]], list[Float[Tensor, "N _ 1"]]]:
        """Weights (out, in) and biases of the layers; D holds all weights, then all biases, as in AdelaiDet.

        Raises:
            ValueError: if D is not `num_dynamic_params`.
        """
        if dynamic_params.shape[1] != self.num_dynamic_params:
            raise ValueError(f"got {dynamic_params.shape[1]} dynamic parameters, expected {self.num_dynamic_params}")
        sizes = [out * width for out, width in self.layers] + [out for out, _ in self.layers]
        parts = dynamic_params.split(sizes, dim=1)
        weights = [part.unflatten(1, layer) for part, layer in zip(parts, self.layers, strict=False)]
        return weights, [part.unsqueeze(2) for part in parts[len(self.layers) :]]

    def forward(
        self,
        mask_features: Float[Tensor, "B C i j"],
        dynamic_params: Float[Tensor, "N D"],
        image_index: Int64[Tensor, " N"],
        locations: Float[Tensor, "N 2"],
        coordinate_scale: Float[Tensor, " N"],
        num_per_image: list[int] | None = None,
    ) -> Float[Tensor, "N h w"]:
        """Mask logits at stride 4; `locations` and `coordinate_scale` in input pixels.

        `num_per_image` is the number of instances of each image, if the host knows it: else it asks the device.
        """
        dtype = dynamic_params.dtype
        # Group instances by image: they share its features, and their maps are small enough for the cache.
        order = image_index.argsort(stable=True)
        counts = num_per_image or image_index.bincount(minlength=len(mask_features)).tolist()
        with torch.autocast(dynamic_params.device.type, enabled=False):
            weights, biases = self.split(dynamic_params.index_select(0, order))
            # relative = (location - cell) / scale is affine in the cell, so it needs no maps of its own per instance:
            # weight @ relative + bias = -weight/scale @ cell + (weight/scale @ location + bias).
            scaled = weights[0][:, :, :2] / coordinate_scale[order, None, None].to(dtype)
            offset = torch.baddbmm(biases[0], scaled, locations[order, :, None].to(dtype))
            first = torch.cat([-scaled, weights[0][:, :, 2:], offset], dim=2)
            inputs = with_cells(mask_features.to(dtype))
            groups = zip(*(part.split(counts) for part in (first, *weights[1:], *biases[1:])), strict=True)
            logits = [self._layers(image_inputs, *group) for image_inputs, group in zip(inputs, groups, strict=True)]
            logits = torch.cat(logits).index_select(0, order.argsort())
            logits = logits.unflatten(2, mask_features.shape[2:])  # N 1 i j
            return aligned_upsample(logits, MASK_FEATURE_STRIDE // MASK_STRIDE).squeeze(1)

    def _layers(self, inputs: Float[Tensor, "I cells"], first: Float[Tensor, "n o I"], *rest: Tensor) -> Tensor:
        """Run one image's instances: `rest` are the weights, then the biases of the later layers."""
        x = first.flatten(0, 1) @ inputs
        layers = list(zip(rest[: len(rest) // 2], rest[len(rest) // 2 :], strict=True))
        if layers:
            x = x.relu_()  # before `unflatten`: a view that changes in place costs a copy in the backward pass
        x = x.unflatten(0, first.shape[:2])  # n o cells
        for number, (weight, bias) in enumerate(layers, 1):
            x = torch.baddbmm(bias, weight, x)
            if number < len(layers):
                x = x.relu_()
        return x


def with_cells(mask_features: Float[Tensor, "B C i j"]) -> Float[Tensor, "B C+3 cells"]:
    """For each cell: its location x and y in input pixels, the features, and a 1 that multiplies the bias."""
    batch, _, height, width = mask_features.shape
    cells, _, _ = pyramid_locations([(height, width)], [MASK_FEATURE_STRIDE], mask_features.device)
    cells = cells.T.to(mask_features.dtype).expand(batch, 2, -1)
    return torch.cat([cells, mask_features.flatten(2), torch.ones_like(cells[:, :1])], dim=1)
