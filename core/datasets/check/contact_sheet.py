"""One picture of some photos as a network sees them, with their boxes: what is most suspicious first."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask as coco_mask

from core.config import DataConfig
from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.annotations_in_view import full_masks
from core.datasets.check.box_checks import Finding
from core.datasets.masks import has_area
from core.datasets.photo import open_rgb, opened
from core.datasets.transforms import View, apply_view, fixed_view
from core.drawing import draw_instances
from core.files.atomic import replaced

NUM_TILES, NUM_SUSPECTS, COLUMNS = 20, 10, 5
MARGIN, CAPTION = 6, 34  # px between tiles; above a tile, two lines
TEXT_HEIGHT = 12  # px
SUSPECT_COLOR, PAPER, INK = (200, 30, 30), (255, 255, 255), (0, 0, 0)
QUALITY = 90  # of the JPEG
MADE_BY = b"contact sheet of a data set"  # comment of the JPEG: such a file may be replaced


@dataclass(frozen=True)
class Tile:
    file: AnnotationFile
    record: ImageRecord
    flaw: str = ""


def choose_tiles(
    files: Sequence[AnnotationFile], findings: Sequence[tuple[AnnotationFile, Finding]], *, seed: int = 0
) -> list[Tile]:
    """Up to NUM_SUSPECTS photos with findings, of each flaw in turn, then random ones, NUM_TILES in all.

    `findings` are ordered: worst flaw first. A photo appears once, with its first flaw.
    """
    records = {(id(file), record.image_id): record for file in files for record in file.images}
    of_flaw: dict[str, list[Tile]] = {}
    taken = set()
    for file, finding in findings:
        key = (id(file), finding.image_id)
        if key in records and key not in taken:
            taken.add(key)
            ids = ", ".join(map(str, finding.annotation_ids))
            of_flaw.setdefault(finding.flaw, []).append(Tile(file, records[key], f"{finding.flaw}: {ids}"))
    in_turn = (tile for row in zip_longest(*of_flaw.values()) for tile in row if tile is not None)
    suspects = list(islice(in_turn, NUM_SUSPECTS))
    shown = {(id(tile.file), tile.record.image_id) for tile in suspects}
    rest = [Tile(file, record) for file in files for record in file.images if (id(file), record.image_id) not in shown]
    random.Random(seed).shuffle(rest)
    return suspects + rest[: NUM_TILES - len(suspects)]


def contact_sheet(tiles: Sequence[Tile], data: DataConfig) -> Image.Image:
    """The tiles in rows, each photo resized as for validation, with a caption; a photo that cannot be read is gray."""
    pictures = [_picture(tile, data) for tile in tiles]
    columns = min(COLUMNS, len(pictures))
    width = max(picture.width for picture in pictures) + MARGIN
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    heights = [max(picture.height for picture in row) + CAPTION + MARGIN for row in rows]
    sheet = Image.new("RGB", (columns * width + MARGIN, sum(heights) + MARGIN), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT_HEIGHT)
    top = MARGIN
    for row, (row_pictures, height) in enumerate(zip(rows, heights, strict=True)):
        for column, picture in enumerate(row_pictures):
            tile, left = tiles[row * columns + column], MARGIN + column * width
            count = len(tile.record.labels)
            text = f"{tile.record.file_name} ({tile.file.path.stem}), {count} {'box' if count == 1 else 'boxes'}"
            for line, (words, color) in enumerate(((text, INK), (tile.flaw, SUSPECT_COLOR))):
                while words and draw.textlength(words, font) > width - MARGIN:
                    words = words[:-1]
                draw.text((left, top + line * (TEXT_HEIGHT + 3)), words, color, font)
            sheet.paste(picture, (left, top + CAPTION))
        top += height
    return sheet


def _picture(tile: Tile, data: DataConfig) -> Image.Image:
    record = tile.record
    sides = {"short_side": data.val_short_side, "long_side_max": data.long_side_max}
    view = fixed_view(record.height, record.width, 0, 0, **sides)
    try:
        photo = open_rgb(tile.file.image_folder / record.file_name, record.width, record.height)
    except ValueError:
        return Image.new("RGB", (view.size[1], view.size[0]), (128, 128, 128))
    boxes = _boxes(record, view)
    masks = [] if record.segmentation_problems() else _masks(record, view)
    labels = torch.from_numpy(record.labels)
    return draw_instances(apply_view(photo, view), boxes, labels, masks, tile.file.categories)


def _boxes(record: ImageRecord, view: View) -> torch.Tensor:
    scale = torch.tensor([view.size[1] / record.width, view.size[0] / record.height] * 2, dtype=torch.float64)
    return (torch.from_numpy(record.boxes) * scale).float()


def _masks(record: ImageRecord, view: View) -> list[dict]:
    """Run-length encodings in the view, empty for instances without mask; none if no instance has one."""
    given = [i for i, segmentation in enumerate(record.segmentations) if has_area(segmentation)]
    if not given:
        return []
    pixels = np.zeros((len(record.segmentations), *view.size), dtype=np.uint8)
    pixels[given] = full_masks([record.segmentations[i] for i in given], view, (record.height, record.width)).numpy()
    return [coco_mask.encode(np.asfortranarray(mask)) for mask in pixels]


def write_sheet(path: Path, root: Path, tiles: Sequence[Tile], data: DataConfig) -> None:
    """Write the contact sheet as JPEG, atomically.

    Raises:
        ValueError: if `path` has no name of a JPEG, lies in the data set `root`, or is a file that is no contact sheet,
            or there is no photo.
        OSError: if it cannot be written.
    """
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        raise ValueError(f"{path}: a sheet is a JPEG, expected a name that ends in .jpg")
    if path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{path}: lies in the data set, which stays as it is; --sheet names another place")
    if path.exists() and not _is_sheet(path):
        raise ValueError(f"{path}: is there already and no contact sheet; --sheet names another place")
    if not tiles:
        raise ValueError(f"{root}: no photo to draw")
    sheet = contact_sheet(tiles, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as partial:
        sheet.save(partial, "JPEG", quality=QUALITY, comment=MADE_BY)


def _is_sheet(path: Path) -> bool:
    try:
        with opened(path) as image:
            return image.info.get("comment") == MADE_BY
    except ValueError:
        return False
