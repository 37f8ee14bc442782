"""The color threshold of an image that keeps a fixed share of the edges in its boxes."""

import math

from jaxtyping import Bool, Float
from torch import Tensor


def thresholds_of_share(
    similarity: Float[Tensor, "B E h w"],
    usable: Bool[Tensor, "B E h w"],
    in_boxes: Bool[Tensor, "B h w"],
    share: float,
) -> Float[Tensor, " B"]:
    """The similarity that at least a `share` (above 0) of the usable edges of each image reaches.

    Only edges at the pixels `in_boxes`, in any box of the image, are ranked, since the loss sees no others: of two
    photos of one object the one with more sky would else have the higher threshold. The threshold is the similarity of
    the last edge of the share, rounded up to whole edges, so that it is never between two edges.

    Ties are kept: edges as similar as the last one are as good as it, and to choose among them would be to draw lots.
    Of a plain image, in whose boxes all edges are equally similar, all are kept. Without an edge, it is infinite.

    The host waits once for each image; its edges are copied once, and nothing is sorted.
    """
    ranked = usable & in_boxes[:, None]
    thresholds = similarity.new_full((len(similarity),), math.inf)
    for image, of_image in enumerate(ranked):
        values = similarity[image][of_image]
        if len(values):
            kept = min(math.ceil(share * len(values)), len(values))
            thresholds[image] = values.kthvalue(len(values) - kept + 1).values
    return thresholds
