"""A photo as its file holds it."""

from pathlib import Path

from PIL import Image, ImageOps


def open_rgb(path: Path, width: int, height: int) -> Image.Image:
    """The image of a file whose annotations say it is `width` x `height` pixels; gray and RGBA become RGB.

    EXIF orientation is applied only where the annotated size asks for it: COCO's boxes refer to the stored pixels.

    Raises:
        ValueError: if the file is no image or of another size.
    """
    try:
        with Image.open(path) as image:
            stored = image.size
            rgb = (image if stored == (width, height) else ImageOps.exif_transpose(image)).convert("RGB")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read as an image ({error})") from error
    if rgb.size != (width, height):
        raise ValueError(f"{path}: is {stored[0]} x {stored[1]} pixels, its annotations say {width} x {height}")
    return rgb
