"""Controller: the dynamic parameters of the mask head, only for the locations that get a mask."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from core.compute.transfer import to_device


class Controller(nn.Module):
    """CondInst's controller (arXiv:2003.05664): a 3x3 convolution on the box tower, evaluated at chosen locations.

    Masks are needed at some 64 locations per image, while a dense convolution would compute hundreds of channels at
    all locations. Weight and bias are those of the dense convolution. Always float32, because the parameters encode
    coordinates in pixels.
    """

    def __init__(self, *, channels: int, num_dynamic_params: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_dynamic_params, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(num_dynamic_params))
        nn.init.normal_(self.weight, std=0.01)

    def forward(
        self,
        levels: list[Float[Tensor, "B C _ _"]],
        image_index: Int64[Tensor, " N"],
        location_index: Int64[Tensor, " N"],
    ) -> Float[Tensor, "N D"]:
        """Dynamic parameters at `location_index` (level first, then row-major cells) of image `image_index`."""
        channels = levels[0].shape[1]
        cells = [level.permute(0, 2, 3, 1).reshape(-1, channels) for level in levels]
        zeros = cells[0].new_zeros(1, channels)  # the padding of the convolution
        sizes = [tuple(level.shape[2:]) for level in levels]
        index = patch_index(sizes, len(levels[0]), image_index, location_index)
        patches = torch.cat([*cells, zeros]).index_select(0, index.flatten()).reshape(len(index), 9 * channels)
        with torch.autocast(patches.device.type, enabled=False):
            weight = self.weight.permute(0, 2, 3, 1).reshape(-1, 9 * channels)
            return functional.linear(patches.to(weight.dtype), weight, self.bias)


def patch_index(
    sizes: list[tuple[int, int]], num_images: int, image_index: Int64[Tensor, " N"], location_index: Int64[Tensor, " N"]
) -> Int64[Tensor, "N 9"]:
    """Row index of each cell of the 3x3 patches around locations, in a table ordered by level, image, cell.

    Neighbors outside the map point to the row after the last cell.
    """
    device = location_index.device
    height, width = to_device(torch.tensor(sizes), device).T
    end = (height * width).cumsum(0)
    level = torch.bucketize(location_index, end, right=True)
    height, width, start = height[level, None], width[level, None], (end - height * width)[level]

    cell = (location_index - start)[:, None]
    offset = torch.arange(-1, 2, device=device)
    y = cell // width + offset.repeat_interleave(3)  # N 9
    x = cell % width + offset.repeat(3)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    row = num_images * start[:, None] + (image_index[:, None] * height + y) * width + x
    return torch.where(inside, row, num_images * end[-1])
