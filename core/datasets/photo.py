"""Read photos from their files, with or without EXIF orientation; whatever is wrong with a file, it is named."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ExifTags, Image

MAX_PIXELS = 2**27  # 134 megapixels: 0.5 GiB as RGB, at most three times that while it is decoded and turned
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # no EPS: it would run Ghostscript
TURNED_BY_90 = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
UPRIGHT_BY = {  # EXIF orientation: what turns the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a photo without decoding it; the caller may decode it inside the `with` statement.

    Of a file with several frames, this is the first, as in viewers. More than MAX_PIXELS are refused before decoding,
    and so are pixels of 16 or 32 bits, alone or in gray: which of their values should be black and white depends on
    the camera, and Pillow's conversion would show most of them white.

    Raises:
        ValueError: if the file cannot be opened, or is refused, or anything fails inside the `with` statement.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is the limit
            image = Image.open(path, formats=FORMATS)
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, expected at most {MAX_PIXELS}")
            if image.mode[0] in "IF":
                found = f"gray of more than 8 bits, mode {image.mode}"
                raise ValueError(f"{found}; convert it to 8 bits, with the range of its values that matters")
            yield image
    except Image.DecompressionBombError as error:  # from the header, before our own limit can be asked
        raise ValueError(f"{path}: cannot be read as an image (expected at most {MAX_PIXELS} pixels)") from error
    except Exception as error:  # Pillow's decoders raise errors of every kind on damaged files
        kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
        raise ValueError(f"{path}: cannot be read as an image ({kind}{error})") from error


def open_rgb(path: Path, width: int, height: int, *, upright: bool = False) -> Image.Image:
    """Open an image, annotated as `width` x `height` pixels, as RGB; gray, palettes and CMYK are converted.

    Transparency is dropped. EXIF orientation is applied only if the annotated size requires it: COCO's boxes refer to
    the stored pixels. With `upright` it is always applied, as viewers do.

    Raises:
        ValueError: if the file is not an image (see `opened`) or has another size.
    """
    rgb = None
    with opened(path) as image:
        stored = image.size
        if sorted(stored) == sorted((width, height)):  # else it is not worth decoding
            turn = None if stored == (width, height) and not upright else UPRIGHT_BY.get(orientation(image))
            rgb = (image if turn is None else image.transpose(turn)).convert("RGB")
    if rgb is None or rgb.size != (width, height):
        raise _wrong_size(path, stored, width, height)
    return rgb


def check_size(path: Path, width: int, height: int) -> None:
    """Check that a photo has its annotated size, as stored or upright; reads the header, decodes nothing.

    Raises:
        ValueError: if the file is not an image (see `opened`) or has another size.
    """
    with opened(path) as image:
        stored, upright = image.size, upright_size(image)
    if (width, height) not in (stored, upright):
        raise _wrong_size(path, stored, width, height)


def _wrong_size(path: Path, stored: tuple[int, int], width: int, height: int) -> ValueError:
    return ValueError(f"{path}: is {stored[0]} x {stored[1]} pixels, its annotations say {width} x {height}")


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height after EXIF orientation, without decoding the image."""
    width, height = image.size
    return (height, width) if orientation(image) in TURNED_BY_90 else (width, height)


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (as stored) if the file has none, or for TIFF, where Pillow applies it itself.

    Malformed EXIF counts as none, as in viewers.
    """
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # its parser raises errors of every kind
        return 1
    return found if found in range(1, 9) and image.format != "TIFF" else 1


def is_turned_unseen(path: Path) -> bool:
    """Whether viewers rotate or mirror a photo without changing its size: by 180 degrees, or a square one.

    Then the annotated size does not show which orientation the boxes refer to. False if the file is not an image.
    """
    try:
        with opened(path) as image:
            return orientation(image) != 1 and upright_size(image) == image.size
    except ValueError:
        return False
