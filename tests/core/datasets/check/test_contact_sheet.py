"""The picture of some photos with their boxes."""

import numpy as np
import pytest
from PIL import Image

from core.config import DataConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.box_checks import Finding
from core.datasets.check.contact_sheet import (
    CAPTION,
    COLUMNS,
    MARGIN,
    NUM_SUSPECTS,
    NUM_TILES,
    Tile,
    choose_tiles,
    contact_sheet,
    write_sheet,
)
from core.drawing import PALETTE
from tests.core.datasets.conftest import HEIGHT, RECTANGLE, WIDTH, annotation

DATA = DataConfig(short_sides=(4 * HEIGHT,), long_side_max=4 * WIDTH, val_short_side=4 * HEIGHT)


@pytest.fixture
def read(write):
    def read_file(annotations, image_ids=(7,)):
        root = write(annotations, image_ids=image_ids)
        return AnnotationFile.read(root / "instances_train.json", root / "train")

    return read_file


def picture(sheet, column=0):
    left, top = MARGIN + column * (4 * WIDTH + MARGIN), MARGIN + CAPTION
    return np.array(sheet.crop((left, top, left + 4 * WIDTH, top + 4 * HEIGHT)))


def test_suspects_come_first_each_flaw_in_turn_then_a_random_choice(read):
    file = read([], image_ids=tuple(range(40)))
    findings = [(file, Finding("a", i, (i,))) for i in range(30)] + [(file, Finding("b", i, (i,))) for i in (35, 0, 36)]
    tiles = choose_tiles([file], findings)
    assert len(tiles) == NUM_TILES
    assert [tile.flaw for tile in tiles[:5]] == ["a: 0", "b: 35", "a: 1", "b: 36", "a: 2"]
    assert [bool(tile.flaw) for tile in tiles] == [True] * NUM_SUSPECTS + [False] * (NUM_TILES - NUM_SUSPECTS)
    shown = [tile.record.image_id for tile in tiles]
    assert len(set(shown)) == NUM_TILES
    assert [tile.record.image_id for tile in choose_tiles([file], findings)] == shown
    assert [tile.record.image_id for tile in choose_tiles([file], findings, seed=1)] != shown
    assert len(choose_tiles([file], [])) == NUM_TILES


def test_photos_have_the_size_of_the_view_in_rows(read):
    file = read([annotation()], image_ids=tuple(range(COLUMNS + 1)))
    sheet = contact_sheet([Tile(file, record) for record in file.images], DATA)
    rows = 2 * (4 * HEIGHT + CAPTION + MARGIN) + MARGIN
    assert sheet.size == (COLUMNS * (4 * WIDTH + MARGIN) + MARGIN, rows)


def test_boxes_masks_and_names_are_drawn(read):
    blank = read([])
    plain = picture(contact_sheet([Tile(blank, blank.images[0])], DATA))
    file = read([annotation(1, segmentation=RECTANGLE), annotation(2, bbox=[24, 8, 12, 12])])
    drawn = picture(contact_sheet([Tile(file, file.images[0])], DATA))
    assert drawn[4 * 15 + 3, 4 * 8].tolist() == list(PALETTE[0])  # the lower side of the first box
    assert (drawn[50, 50] != plain[50, 50]).any()  # inside of its mask
    assert drawn[4 * 19 + 3, 4 * 30].tolist() == list(PALETTE[1])
    assert (drawn[70, 120] == plain[70, 120]).all()  # inside of the box without a mask
    assert (drawn[20:31, 16:40] != plain[20:31, 16:40]).any()  # the name above the box


def test_a_photo_that_cannot_be_read_is_gray_and_a_broken_mask_is_left_out(read):
    file = read([annotation(1, segmentation="none")], image_ids=(7, 8))
    (file.image_folder / "8.png").write_bytes(b"no photo")
    sheet = contact_sheet([Tile(file, record) for record in file.images], DATA)
    assert (picture(sheet, 1) == 128).all()
    assert picture(sheet)[4 * 15 + 3, 4 * 8].tolist() == list(PALETTE[0])


def test_a_long_caption_is_cut(read):
    file = read([annotation()])
    tiles = [Tile(file, file.images[0], "reason " * 100)]
    sheet = np.array(contact_sheet(tiles, DATA))
    assert (sheet[:, -MARGIN // 2 :] == 255).all()


def test_only_a_contact_sheet_is_replaced(read, tmp_path):
    file = read([annotation()])
    tiles, path, root = [Tile(file, file.images[0])], tmp_path / "out" / "check.jpg", tmp_path / "train"
    for _ in range(2):
        write_sheet(path, root, tiles, DATA)
    assert [left.name for left in path.parent.iterdir()] == ["check.jpg"]
    Image.new("RGB", (9, 9)).save(path)
    with pytest.raises(ValueError, match=r"check\.jpg: is there already and no contact sheet"):
        write_sheet(path, root, tiles, DATA)
    path.write_text("no picture")
    with pytest.raises(ValueError, match="is there already"):
        write_sheet(path, root, tiles, DATA)
    with pytest.raises(ValueError, match="lies in the data set"):
        write_sheet(root / "deeper" / "check.jpg", root, tiles, DATA)
    with pytest.raises(ValueError, match=r"check\.png: a sheet is a JPEG, expected a name that ends in \.jpg"):
        write_sheet(tmp_path / "check.png", root, tiles, DATA)
    with pytest.raises(ValueError, match="no photo to draw"):
        write_sheet(tmp_path / "b.jpg", root, [], DATA)
