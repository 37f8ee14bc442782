"""Which training images keep their masks."""

from collections.abc import Collection

import numpy as np


def images_with_masks(image_ids: Collection[int], ratio: float, seed: int) -> frozenset[int]:
    """The share `ratio` of the images, drawn at random; every other image is supervised by its boxes alone.

    Subsets are nested: with one seed, a smaller ratio's images are among a larger ratio's. The order of `image_ids`
    does not matter.

    Raises:
        ValueError: if the ratio lies outside 0..1.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"supervision.mask_ratio is {ratio}, expected a share between 0 and 1")
    shuffled = np.random.default_rng(seed).permutation(sorted(image_ids))
    return frozenset(int(image_id) for image_id in shuffled[: int(ratio * len(shuffled) + 0.5)])
