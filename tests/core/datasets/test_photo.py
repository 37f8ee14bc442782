"""Photos of all kinds become RGB or are refused with their file's name, whatever Pillow raises."""

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from core.datasets.photo import MAX_PIXELS, is_turned_unseen, open_rgb, opened, orientation, upright_size

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's, beside its errors

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
RAMP = np.tile(np.linspace(0, 65535, 40), (24, 1))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims this size and ends where its pixels would begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", len(header) - 4) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 99) + b"IDAT"


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK"])
def test_every_mode_of_eight_bits_is_read_as_pillow_converts_it(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    assert np.array_equal(open_rgb(path, 40, 24), image.convert("RGB"))


def test_a_palette_with_transparency_and_the_first_frame_of_several_are_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(PIXELS // divisor).convert("P") for divisor in (1, 2, 3)]
    frames[0].save(tmp_path / "a.png", transparency=bytes(range(256)))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    for name in ("a.png", "a.gif"):
        assert np.array_equal(open_rgb(tmp_path / name, 40, 24), frames[0].convert("RGB"))


@pytest.mark.parametrize(
    ("pixels", "name", "mode"),
    [
        (RAMP.astype(np.uint16), "a.png", "I;16"),
        (RAMP.astype(np.uint16), "a.tif", "I;16"),
        (RAMP.astype(np.int32), "a.tif", "I"),
        ((RAMP / 65535).astype(np.float32), "a.tif", "F"),
    ],
)
def test_gray_of_more_than_eight_bits_is_refused_because_it_would_turn_white(
    tmp_path: Path, pixels: np.ndarray, name: str, mode: str
) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    message = rf"{name}: cannot be read as an image \(gray of more than 8 bits, mode {mode}; convert it to 8 bits"
    with pytest.raises(ValueError, match=message):
        open_rgb(tmp_path / name, 40, 24)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot identify image file"),
        (b"a text", "cannot identify image file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 24\n", "cannot identify image file"),
        (png_of_size(13_000, 13_000), f"13000 x 13000 pixels, expected at most {MAX_PIXELS}"),
        (png_of_size(20_000, 10_000), f"expected at most {MAX_PIXELS} pixels"),
        (png_of_size(2**31 - 1, 2**31 - 1), f"expected at most {MAX_PIXELS} pixels"),
        (png_of_size(40, 24), ""),
    ],
    ids=["empty", "text", "eps", "large", "larger", "largest", "truncated"],
)
def test_what_is_no_photo_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.jpg: cannot be read as an image \(.*{re.escape(message)}"):
        open_rgb(path, 40, 24)
    assert not is_turned_unseen(path)


def test_a_photo_of_another_size_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of_size(11_000, 11_000))
    with pytest.raises(ValueError, match=r"a\.png: is 11000 x 11000 pixels, its annotations say 40 x 24"):
        open_rgb(tmp_path / "a.png", 40, 24)


@pytest.mark.parametrize("exif", [b"garbage!", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0MM\0*\xff\xff\xff\xff"])
def test_a_photo_with_malformed_exif_is_read_as_stored(tmp_path: Path, exif: bytes) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path, exif=exif)
    for upright in (False, True):
        assert np.array_equal(open_rgb(path, 40, 24, upright=upright), PIXELS)
    with opened(path) as image:
        assert (orientation(image), upright_size(image)) == (1, (40, 24))


@pytest.mark.parametrize("value", range(1, 9))
def test_a_photo_is_turned_upright_as_pillow_turns_it(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path, exif=exif)
    with Image.open(path) as stored:
        expected = ImageOps.exif_transpose(stored)
    assert np.array_equal(open_rgb(path, *expected.size, upright=True), expected)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000"])
def test_whatever_breaks_in_a_file_the_error_names_it(tmp_path: Path, format_: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, format_, **({"exif": exif} if format_ in ("PNG", "JPEG", "TIFF") else {}))
    sound, path, rng = stream.getvalue(), tmp_path / "a.img", np.random.default_rng(1)
    messages = []
    for _ in range(40):
        content = bytearray(sound[: rng.integers(1, len(sound))] if rng.random() < 0.3 else sound)
        for place in rng.integers(0, min(len(content), 200), 4):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            open_rgb(path, 40, 24, upright=bool(rng.integers(2)))
        except ValueError as error:  # and no other kind
            messages.append(str(error))
    assert len(messages) > 5
    assert all(message.startswith(f"{path}: ") for message in messages)
