"""A photo as its file holds it."""

from pathlib import Path

from PIL import ExifTags, Image, ImageOps

TURNED_BY_90 = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


def open_rgb(path: Path, width: int, height: int, *, upright: bool = False) -> Image.Image:
    """The image of a file whose annotations say it is `width` x `height` pixels; gray and RGBA become RGB.

    EXIF orientation is applied only where the annotated size asks for it: COCO's boxes refer to the stored pixels.
    `upright`: wherever the file has one, as viewers do.

    Raises:
        ValueError: if the file is no image or of another size.
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
    """Width and height as viewers show the photo, without reading its pixels."""
    width, height = image.size
    return (height, width) if orientation(image) in TURNED_BY_90 else (width, height)


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (as stored) where the file has none, or Pillow applies it itself, as to TIFF."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) and image.format != "TIFF" else 1


def is_turned_unseen(path: Path) -> bool:
    """Whether viewers show a photo turned or mirrored although its size is the stored one: at 180 degrees, or a square.

    Its annotated size cannot tell what its boxes refer to. False for a file that is no image.
    """
    try:
        with Image.open(path) as image:
            return orientation(image) != 1 and upright_size(image) == image.size
    except OSError:
        return False
