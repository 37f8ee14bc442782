"""Read photos from their files, with or without EXIF orientation."""

from pathlib import Path

from PIL import ExifTags, Image, ImageOps

TURNED_BY_90 = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


def open_rgb(path: Path, width: int, height: int, *, upright: bool = False) -> Image.Image:
    """Open an image, annotated as `width` x `height` pixels, as RGB; gray and RGBA are converted.

    EXIF orientation is applied only if the annotated size requires it: COCO's boxes refer to the stored pixels.
    With `upright` it is always applied, as viewers do.

    Raises:
        ValueError: if the file is not an image or has another size.
    """
    try:
        with Image.open(path) as image:
            stored = image.size
            as_stored = stored == (width, height) and not upright
            rgb = (image if as_stored else ImageOps.exif_transpose(image)).convert("RGB")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read as an image ({error})") from error
    if rgb.size != (width, height):
        raise ValueError(f"{path}: is {stored[0]} x {stored[1]} pixels, its annotations say {width} x {height}")
    return rgb


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height after EXIF orientation, without decoding the image."""
    width, height = image.size
    return (height, width) if orientation(image) in TURNED_BY_90 else (width, height)


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (as stored) if the file has none, or for TIFF, where Pillow applies it itself."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) and image.format != "TIFF" else 1


def is_turned_unseen(path: Path) -> bool:
    """Whether viewers rotate or mirror a photo without changing its size: by 180 degrees, or a square one.

    Then the annotated size does not show which orientation the boxes refer to. False if the file is not an image.
    """
    try:
        with Image.open(path) as image:
            return orientation(image) != 1 and upright_size(image) == image.size
    except OSError:
        return False
