"""What a box tells the loss on one free photo: two projections, and each pixel's color similarity to its neighbors."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from skimage import data

from core.files.atomic import replaced
from core.neighborhood import Neighborhood
from core.structures import MASK_STRIDE
from core.targets.box_mask import box_masks
from core.targets.color_similarity import color_similarity

# The astronaut Eileen Collins, by NASA, in the public domain: 512 x 512 pixels, shipped with scikit-image. The box
# was drawn by hand around her, without the helmet.
BOX = (19.0, 14.0, 366.0, 512.0)  # xyxy, px


def photo() -> UInt8[np.ndarray, "H W 3"]:
    return data.astronaut()


def consistency(
    image: UInt8[np.ndarray, "H W 3"],
    box: tuple[float, float, float, float],
    neighborhood: Neighborhood,
    temperature: float,
) -> dict[str, np.ndarray]:
    """Arrays of the figure: image, box, its projections on the mask grid, neighborhood offsets and similarities.

    `x_profile` has one value per column of the mask grid, `y_profile` one per row. `similarity` follows the order of
    `offsets`, (dy, dx) in cells.

    Raises:
        ValueError: if a side of the image is not a multiple of the mask stride.
    """
    height, width = image.shape[:2]
    if height % MASK_STRIDE or width % MASK_STRIDE:
        raise ValueError(f"image has {width} x {height} pixels, expected multiples of {MASK_STRIDE}")
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    similarity: Float[torch.Tensor, "E h w"] = color_similarity(
        pixels, [(height, width)], [0], neighborhood, temperature
    )[0]
    in_box: Bool[torch.Tensor, "h w"] = box_masks(torch.tensor([box]), *similarity.shape[1:])[0]
    return {
        "image": image,
        "box": np.array(box, dtype=np.float32),
        "x_profile": in_box.amax(0).numpy(),
        "y_profile": in_box.amax(1).numpy(),
        "offsets": np.array(neighborhood.offsets),
        "similarity": similarity.numpy(),
        "temperature": np.array(temperature),
        "mask_stride": np.array(MASK_STRIDE),
    }


def write_consistency(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write the arrays, in full or not at all; equal arrays give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
