import math
from itertools import product

import numpy as np
import pytest
import skimage.color
import torch
from torch.nn import functional

from core.neighborhood import Neighborhood
from core.targets.color_similarity import color_similarity, rgb_to_lab, similar_edges, trusted_cells

CLOSE = Neighborhood(size=3, dilation=1)
EAST = CLOSE.offsets.index((0, 1))


def test_gray_has_no_color_and_its_known_lightness() -> None:
    lab = rgb_to_lab(torch.tensor([[0, 0, 0], [255, 255, 255], [119, 119, 119]], dtype=torch.uint8))
    assert lab[:, 0].tolist() == pytest.approx([0, 100, 50.034], abs=1e-3)
    assert lab[:, 1:].abs().max() < 0.01


def test_similarity_of_two_grays_is_the_hand_worked_one() -> None:
    # Black beside white: LAB 100 apart, at temperature 50 exp(-2); each to itself 1.
    image = torch.zeros(1, 3, 4, 12, dtype=torch.uint8)
    image[..., 4:] = 255
    similarity = color_similarity(image, [(4, 12)], [0], CLOSE, 50.0)
    assert similarity.shape == (1, 8, 1, 3)
    assert similarity[0, EAST, 0].tolist() == pytest.approx([math.exp(-2), 1, 0], abs=1e-4)


def test_pooled_colors_are_truncated() -> None:
    # One cell of 11s with a single 12 averages 11.06, one with a single 10 averages 10.94: 11 and 10.
    image = torch.full((1, 3, 4, 8), 11, dtype=torch.uint8)
    image[..., 0, 0], image[..., 0, 4] = 12, 10
    lab = rgb_to_lab(torch.tensor([[11] * 3, [10] * 3], dtype=torch.uint8)).float()
    expected = math.exp(-(lab[0] - lab[1]).norm().item() / 2)
    assert color_similarity(image, [(4, 8)], [0], CLOSE, 2.0)[0, EAST, 0, 0].item() == pytest.approx(expected, abs=1e-6)


def test_only_the_neighbors_validity_counts() -> None:
    # The lower cell's center pixel, row 6, is among the two ignored rows of an image of 8.
    similarity = color_similarity(torch.zeros(1, 3, 8, 4, dtype=torch.uint8), [(8, 4)], [2], CLOSE, 2.0)[0, :, :, 0]
    south, north = CLOSE.offsets.index((1, 0)), CLOSE.offsets.index((-1, 0))
    assert similarity[south, 0] == 0
    assert similarity[north, 1] == 1


def test_padding_and_ignored_rows_are_not_trusted() -> None:
    # Centers at 2, 6, 10: width 6 ends before 6, height 11 - 4 = 7 after it.
    trusted = trusted_cells([(11, 6), (12, 12)], [4, 0], 3, 3, torch.device("cpu"))
    assert trusted[0].int().tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert trusted[1].all()


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_cells_of_another_stride_are_the_same_image_at_another_size(stride: int) -> None:
    small = torch.randint(90, 110, (1, 3, 5, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    sizes = {
        side: [(5 * side - (side + 1) // 2, 6 * side)] for side in (stride, 4)
    }  # the last row's centers are padding
    of_stride, of_four = (
        similar_edges(
            small.repeat_interleave(side, 2).repeat_interleave(side, 3), sizes[side], [0], CLOSE, 2.0, 0.3, side
        )
        for side in (stride, 4)
    )
    assert 0 < of_four.sum() < of_four.numel()
    assert torch.equal(of_stride, of_four)


def test_edges_join_trusted_cells_of_similar_color() -> None:
    # Columns of cells: black, half and half, light. The first image ends before the third.
    images = torch.zeros(2, 3, 8, 12, dtype=torch.uint8)
    images[..., 6:] = 200
    similar = similar_edges(images, [(8, 8), (8, 12)], [0, 0], CLOSE, 2.0, 0.3)
    assert not similar[:, EAST].any()
    south = similar[:, CLOSE.offsets.index((1, 0))]
    assert south.int().tolist() == [[[1, 1, 0], [0, 0, 0]], [[1, 1, 1], [0, 0, 0]]]


def test_an_edge_is_similar_from_the_threshold_on() -> None:
    # Cells of two colors: equal ones have similarity 1, the others exp(-100 / 50) as float32 has it.
    image = torch.zeros(1, 3, 4, 12, dtype=torch.uint8)
    image[..., 4:] = 255
    frame = (image, [(4, 12)], [0], CLOSE, 50.0)
    across, equal = color_similarity(*frame)[0, EAST, 0, :2].tolist()
    assert equal == 1
    just_above = float(np.nextafter(np.float32(across), np.float32(1)))
    kept = {tau: similar_edges(*frame, tau)[0, EAST, 0].tolist() for tau in (across, just_above, 1.0)}
    assert kept == {across: [True, True, False], just_above: [False, True, False], 1.0: [False, True, False]}


def test_threshold_zero_keeps_all_edges_to_trusted_cells_and_no_others() -> None:
    image = torch.zeros(1, 3, 8, 12, dtype=torch.uint8)
    image[..., 6:] = 200
    assert similar_edges(image, [(8, 8)], [0], CLOSE, 2.0, 0.0)[0, EAST].tolist() == [[True, False, False]] * 2


@pytest.mark.parametrize("neighborhood", [CLOSE, Neighborhood(3, 2), Neighborhood(5, 1)], ids=str)
def test_no_edge_has_an_end_in_an_ignored_cell_and_the_others_stay(neighborhood: Neighborhood) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(98, 102, (2, 3, 24, 28), generator=generator, dtype=torch.uint8)
    ignored = torch.rand(2, 6, 7, generator=generator) < 0.3
    frame = (images, [(24, 28), (20, 24)], [0, 0], neighborhood, 2.0, 0.3)
    plain, left = similar_edges(*frame), similar_edges(*frame, ignored=ignored)
    kept = plain.clone()
    for image, (e, (dy, dx)), y, x in product(range(2), enumerate(neighborhood.offsets), range(6), range(7)):
        other = (y + dy, x + dx)
        on_grid = 0 <= other[0] < 6 and 0 <= other[1] < 7
        if ignored[image, y, x] or (on_grid and ignored[image, *other]):
            kept[image, e, y, x] = False
    assert torch.equal(left, kept)
    assert 0 < left.sum() < plain.sum()
    assert torch.equal(similar_edges(*frame, ignored=torch.zeros_like(ignored)), plain)


def test_transposing_the_image_transposes_the_similarity() -> None:
    image = torch.randint(0, 256, (1, 3, 24, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    image = functional.interpolate(image[..., ::8, ::8], scale_factor=8)
    similarity = color_similarity(image, [(24, 32)], [0], CLOSE, 20.0)
    transposed = color_similarity(image.mT.contiguous(), [(32, 24)], [0], CLOSE, 20.0)
    moved = [CLOSE.offsets.index((dx, dy)) for dy, dx in CLOSE.offsets]
    torch.testing.assert_close(transposed, similarity[:, moved].mT)


def test_lab_equals_scikit_image() -> None:
    rgb = torch.randint(0, 256, (2000, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(skimage.color.rgb2lab(rgb.numpy()[None])[0])
    torch.testing.assert_close(rgb_to_lab(rgb), expected, atol=1e-10, rtol=0)


def test_lab_equals_golden(golden) -> None:
    values = golden("c2_rgb2lab")
    lab = rgb_to_lab(torch.from_numpy(values["rgb_uint8"]))
    torch.testing.assert_close(lab, torch.from_numpy(values["lab_f64"]), atol=1e-10, rtol=0)


def padded_rgb(values: dict[str, np.ndarray], size: tuple[int, int]) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """The recorded BGR photos as one padded RGB batch, and their sizes."""
    indices = range(len(values["orig_heights"]))
    photos = [torch.from_numpy(values[f"image{i}_bgr_uint8"].copy()).flip(0) for i in indices]
    sizes = [(photo.shape[1], photo.shape[2]) for photo in photos]
    padded = [functional.pad(photo, (0, size[1] - photo.shape[2], 0, size[0] - photo.shape[1])) for photo in photos]
    return torch.stack(padded), sizes


@pytest.mark.parametrize("name", ["k3d2", "k3d1", "k5d1"])
def test_color_similarity_equals_golden(golden, name: str) -> None:
    values = golden("c_color_similarity")
    images, sizes = padded_rgb(values, tuple(values["padded_size"].tolist()))
    neighborhood = Neighborhood(int(name[1]), int(name[3]))
    ignored = values["bottom_pixels_removed_resized"].tolist()
    similarity = color_similarity(images, sizes, ignored, neighborhood, 2.0)
    edges = values["k5d1_kept_edges"] if name == "k5d1" else slice(None)
    for i in range(len(images)):
        expected = torch.from_numpy(values[f"similarity_{name}_im{i}"])
        torch.testing.assert_close(similarity[i, edges], expected, atol=2e-6, rtol=0)
        judged = (expected - 0.3).abs() > 2e-6  # the others may fall on either side of the threshold
        assert torch.equal((similarity[i, edges] >= 0.3)[judged], (expected >= 0.3)[judged])


def test_pooled_colors_lab_and_validity_equal_golden(golden) -> None:
    values = golden("c_color_similarity")
    images, sizes = padded_rgb(values, tuple(values["padded_size"].tolist()))
    ignored = values["bottom_pixels_removed_resized"].tolist()
    for i in range(len(images)):
        pooled = torch.from_numpy(values[f"down_rgb_uint8_im{i}"])
        assert torch.equal(functional.avg_pool2d(images[i].float(), 4).to(torch.uint8), pooled)
        lab = rgb_to_lab(pooled.movedim(0, -1)).movedim(-1, 0).float()
        torch.testing.assert_close(lab, torch.from_numpy(values[f"lab_im{i}"]), atol=1e-5, rtol=0)
        trusted = trusted_cells(sizes, ignored, *pooled.shape[1:], images.device)[i]
        assert torch.equal(trusted, torch.from_numpy(values[f"valid_mask_down_im{i}"]) > 0)
