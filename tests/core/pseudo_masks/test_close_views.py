"""Close views: the window around a box, and whose mask is taken."""

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from core.datasets.annotation_file import ImageRecord
from core.datasets.filled_box import encode_mask
from core.pseudo_masks import close_views as module
from core.pseudo_masks.close_views import masks_in_boxes, window_around
from core.pseudo_masks.given_boxes import EMPTY_MASK
from core.structures import Batch
from tests.core.pseudo_masks.test_given_boxes import config

HEIGHT, WIDTH = 64, 128
SMALL, LARGE = [60.0, 10.0, 76.0, 18.0], [0.0, 0.0, 128.0, 64.0]


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ([56, 28, 72, 36], (16, 48, 32, 32)),  # 16 px wide: twice that, around (64, 32)
        ([0, 0, 16, 8], (0, 0, 32, 32)),  # moved into the photo
        ([110, 50, 128, 64], (28, 92, 36, 36)),
        ([62, 30, 64, 32], (15, 47, 32, 32)),  # tiny: a quarter of the longer side of the photo
        ([20, 0, 60, 50], (0, 0, 64, 100)),  # as high as the photo, which cuts the window
        ([0, 0, 128, 64], (0, 0, 64, 128)),
    ],
)
def test_the_window_is_twice_the_box_and_within_the_photo(box: list[int], window: tuple[int, ...]) -> None:
    top, left, height, width = found = window_around(np.array(box, dtype=float), HEIGHT, WIDTH)
    assert found == window
    assert 0 <= top <= HEIGHT - height
    assert 0 <= left <= WIDTH - width
    assert left <= box[0]
    assert box[2] <= left + width


def record(*boxes: list[float]) -> ImageRecord:
    return ImageRecord(
        image_id=1,
        file_name="",
        height=HEIGHT,
        width=WIDTH,
        boxes=np.array(boxes),
        labels=np.zeros(len(boxes), dtype=np.int64),
        annotation_ids=tuple(range(len(boxes))),
        segmentations=(None,) * len(boxes),
        num_flat_boxes=0,
        num_clipped_boxes=0,
    )


class Seen:
    """Stands in for the network: notes each view, and predicts the mask of the bright pixels of what it is shown."""

    def __init__(self, empty_in_windows: bool = False) -> None:
        self.views: list[tuple[tuple[int, int], list[list[float]]]] = []
        self.empty_in_windows = empty_in_windows

    def masks_for_boxes(self, model: nn.Module, batch: Batch, settings: object, *, labeled: Tensor) -> list[dict]:
        (size,), (annotations,) = batch.original_sizes, batch.annotations
        assert len(labeled) == len(annotations.boxes)
        self.views.append((size, annotations.boxes.tolist()))
        image = batch.images[0, 0, : batch.image_sizes[0][0], : batch.image_sizes[0][1]].numpy()
        bright = np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.NEAREST)) > 128
        if self.empty_in_windows and size != (HEIGHT, WIDTH):
            bright[:] = False
        return [encode_mask(bright)] * len(annotations.boxes)


def found(monkeypatch: pytest.MonkeyPatch, network: Seen, *boxes: list[float], close_views: bool = True) -> list:
    photo = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    photo[12:16, 62:70] = 255
    monkeypatch.setattr(module, "masks_for_boxes", network.masks_for_boxes)
    return masks_in_boxes(
        nn.Identity(),
        record(*boxes),
        Image.fromarray(photo),
        config(),
        device="cpu",
        labeled=torch.zeros(len(boxes), dtype=torch.bool),
        chosen=range(len(boxes)),
        close_views=close_views,
    )


def test_a_small_box_is_seen_in_its_window_and_its_mask_lies_where_it_is_in_the_photo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Seen()
    (mask, reason), (whole, _) = found(monkeypatch, network, SMALL, LARGE)
    sizes = [size for size, _ in network.views]
    assert sizes == [(HEIGHT, WIDTH), (32, 32)]  # the photo with both boxes, then the window of the small one
    (box,) = network.views[1][1]  # in the view of the window, enlarged from 32 px
    assert (box[2] - box[0]) / (box[3] - box[1]) == pytest.approx(2)
    assert reason is None
    rows, columns = coco_mask.decode(mask).nonzero()
    assert abs(rows.min() - 12) <= 1
    assert abs(columns.max() - 69) <= 1
    assert coco_mask.area(whole) == 32


def test_without_close_views_the_photo_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Seen()
    found(monkeypatch, network, SMALL, LARGE, close_views=False)
    assert [size for size, _ in network.views] == [(HEIGHT, WIDTH)]


def test_where_a_window_shows_nothing_the_view_of_the_photo_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ((mask, reason),) = found(monkeypatch, Seen(empty_in_windows=True), SMALL)
    assert (coco_mask.area(mask), reason) == (32, None)
    empty = [0.0, 40.0, 8.0, 50.0]
    ((filled, reason),) = found(monkeypatch, Seen(), empty)
    assert (coco_mask.area(filled), reason) == (80, EMPTY_MASK)
