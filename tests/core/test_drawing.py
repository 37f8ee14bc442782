"""What is drawn where: tints, outlines, boxes, text and zoom."""

import numpy as np
import pytest
import torch
from PIL import Image

from core.drawing import MAX_NAMED, PALETTE, draw_instances
from core.evaluation.postprocess import encode_masks

GRAY = (100, 100, 100)


def photo(width: int = 80, height: int = 60) -> Image.Image:
    return Image.new("RGB", (width, height), GRAY)


def rectangle_mask(x1: int, y1: int, x2: int, y2: int, width: int = 80, height: int = 60) -> torch.Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def draw(boxes: list[list[float]], masks: list[torch.Tensor], **settings: object) -> np.ndarray:
    encoded = encode_masks(torch.stack(masks)) if masks else []
    labels = torch.zeros(len(boxes), dtype=torch.int64)
    picture = draw_instances(photo(), torch.tensor(boxes).reshape(-1, 4), labels, encoded, ["cat"], **settings)
    return np.array(picture)


def test_mask_is_tinted_inside_and_outlined_in_the_pure_color() -> None:
    pixels = draw([[2.0, 30, 70, 58]], [rectangle_mask(30, 35, 50, 50)])
    # half of the photo's gray, half of the color
    expected = [(100 + channel) // 2 for channel in PALETTE[0]]
    assert pixels[42, 40].tolist() == expected
    for y, x in ((35, 40), (49, 40), (42, 30), (42, 49)):
        assert tuple(pixels[y, x]) == PALETTE[0]
    assert tuple(pixels[42, 60]) == GRAY  # in the box, outside of the mask


def test_outlines_are_dashed_in_black_and_white_on_the_border_of_their_mask_alone() -> None:
    (outline,) = encode_masks(rectangle_mask(30, 35, 50, 50)[None])
    pixels = draw([], [], outlines=[outline])
    border = np.zeros(pixels.shape[:2], dtype=bool)
    border[35:50, 30:50] = True
    border[36:49, 31:49] = False
    assert (pixels[~border] == GRAY).all()
    dashes = {tuple(color) for color in pixels[border].tolist()}
    assert dashes == {(0, 0, 0), (255, 255, 255)}
    side = pixels[35, 30:50, 0]
    assert side[:4].tolist() == [255] * 4
    assert side[4:8].tolist() == [0] * 4


def test_an_outline_of_another_size_is_refused() -> None:
    (outline,) = encode_masks(rectangle_mask(1, 1, 5, 5, width=20, height=10)[None])
    with pytest.raises(ValueError, match=r"outline 0 has size \(height, width\) \(10, 20\), expected \(60, 80\)"):
        draw([], [], outlines=[outline])


def test_box_sides_lie_on_its_first_and_last_pixels() -> None:
    pixels = draw([[10.0, 30, 70, 55]], [])
    for y, x in ((40, 10), (40, 69), (30, 40), (54, 40)):
        assert tuple(pixels[y, x]) == PALETTE[0]
    for y, x in ((40, 9), (40, 11), (40, 70), (55, 40), (53, 40)):
        assert tuple(pixels[y, x]) == GRAY


def test_best_instance_is_drawn_last() -> None:
    mask = rectangle_mask(30, 35, 50, 50)
    pixels = draw([[2.0, 30, 70, 58], [4.0, 32, 68, 56]], [mask, mask])
    assert tuple(pixels[35, 40]) == PALETTE[0]
    assert tuple(pixels[32, 60]) == PALETTE[1]


def test_instances_below_the_score_are_left_out() -> None:
    boxes = [[10.0, 30, 30, 55], [40.0, 30, 70, 55]]
    pixels = draw(boxes, [], scores=torch.tensor([0.9, 0.2]), min_score=0.3)
    assert tuple(pixels[40, 10]) == PALETTE[0]
    assert tuple(pixels[40, 40]) == GRAY


def test_name_stands_above_the_box_or_where_it_fits() -> None:
    above = draw([[10.0, 30, 70, 55]], [])
    assert (above[18:29, 11:20] != GRAY).any()
    corner = draw([[75.0, 0, 80, 5]], [])  # neither above nor to the right of the box is room
    assert (corner[:12, 55:75] != GRAY).any()
    assert tuple(corner[30, 40]) == GRAY


def test_of_many_instances_the_first_of_each_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr("core.drawing._write", lambda draw, text, corner, *_, **__: written.append((text, *corner)))
    for count in (MAX_NAMED, MAX_NAMED + 1):
        boxes, scores = (
            torch.tensor([[4.0 * i, 20, 4 * i + 4, 30] for i in range(count)]),
            torch.linspace(1, 0.5, count),
        )
        labels = torch.tensor([int(i == 4) for i in range(count)])
        written.clear()
        draw_instances(photo(), boxes, labels, [], ["dog", "cat"], scores)
        assert len(written) == (count if count == MAX_NAMED else 2)
    assert written == [("cat 0.83", 16.0, 20.0), ("dog 1.00", 0.0, 20.0)]
    draw_instances(photo(), boxes, labels, [], ["dog", "cat"], scores, min_score=0.9)
    assert len(written) == 2 + 3  # few are left to draw


def test_zoom_enlarges_photo_masks_and_boxes_alike() -> None:
    pixels = draw([[10.0, 30, 70, 55]], [rectangle_mask(30, 35, 50, 50)], zoom=3)
    assert pixels.shape == (180, 240, 3)
    assert tuple(pixels[120, 30]) == PALETTE[0]  # left side of the box
    assert tuple(pixels[105, 120]) == PALETTE[0]  # first row of the mask
    assert pixels[126, 120].tolist() == [(100 + channel) // 2 for channel in PALETTE[0]]


def test_lines_and_text_grow_with_a_large_photo() -> None:
    boxes, mask = torch.tensor([[300.0, 900, 1500, 1500]]), rectangle_mask(600, 1000, 1200, 1400, 2400, 1800)
    large = Image.new("RGB", (2400, 1800), GRAY)  # its shorter side is three times UNSCALED_SIDE
    pixels = np.array(draw_instances(large, boxes, torch.tensor([0]), encode_masks(mask[None]), ["cat"]))
    for y, x in ((1200, 300), (1200, 302), (902, 900), (1497, 900), (1200, 1497)):  # three pixels of each side
        assert tuple(pixels[y, x]) == PALETTE[0]
    for y, x in ((1200, 299), (1200, 303), (903, 900), (1496, 900), (1200, 1496)):
        assert tuple(pixels[y, x]) == GRAY
    assert tuple(pixels[1002, 900]) == tuple(pixels[1397, 900]) == tuple(pixels[1200, 602]) == PALETTE[0]
    inside = [(100 + channel) // 2 for channel in PALETTE[0]]
    assert pixels[1003, 900].tolist() == pixels[1396, 900].tolist() == pixels[1200, 603].tolist() == inside
    small = draw([[10.0, 30, 70, 55]], [])

    def height_of_name(picture: np.ndarray, top_of_box: int, left: int) -> int:
        return int((picture[:top_of_box, left] != GRAY).any(1).sum())

    assert height_of_name(pixels, 900, 300) >= 2.5 * height_of_name(small, 30, 10)


def test_photo_without_instances_is_copied() -> None:
    original = photo()
    picture = draw_instances(original, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), [], ["cat"])
    assert picture is not original
    assert np.array_equal(np.array(picture), np.array(original))


def test_photo_itself_is_not_changed() -> None:
    original = photo()
    draw_instances(original, torch.tensor([[1.0, 1, 50, 50]]), torch.tensor([0]), [], ["cat"])
    assert np.array_equal(np.array(original), np.array(photo()))


def test_more_instances_than_colors_and_boxes_beyond_the_photo_are_drawn() -> None:
    boxes = [[-10.0 + i, -5, 90, 70 + i] for i in range(2 * len(PALETTE))]
    assert draw(boxes, [rectangle_mask(0, 0, 80, 60)] * len(boxes)).shape == (60, 80, 3)


def test_mask_of_another_size_is_refused() -> None:
    encoded = encode_masks(torch.ones(1, 60, 81, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mask 0 has size \(height, width\) \(60, 81\), expected \(60, 80\)"):
        draw_instances(photo(), torch.tensor([[1.0, 1, 50, 50]]), torch.tensor([0]), encoded, ["cat"])


def test_photo_of_another_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode L"):
        draw_instances(photo().convert("L"), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), [], ["cat"])


def test_colors_are_by_the_numbers_given_and_repeat() -> None:
    boxes = [[10.0, 30, 30, 55], [40.0, 30, 70, 55]]
    pixels = draw(boxes, [], colors=[3, len(PALETTE) + 1])
    assert tuple(pixels[40, 10]) == PALETTE[3]
    assert tuple(pixels[40, 40]) == PALETTE[1]


def test_a_note_makes_the_text_of_its_instance_longer_and_no_other() -> None:
    boxes, scores = [[2.0, 15, 30, 25], [2.0, 45, 30, 58]], torch.tensor([0.9, 0.8])
    plain, noted = (draw(boxes, [], scores=scores, notes=notes) for notes in (["", ""], ["IoU 1", ""]))
    assert np.array_equal(plain, draw(boxes, [], scores=scores))
    changed = np.nonzero((plain != noted).any(axis=2))
    assert changed[0].max() < 15  # above the first box
    assert changed[1].max() > 60  # behind its score, which ends before
