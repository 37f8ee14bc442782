"""Pictures as part of a page: data URIs that need no file beside it."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

MAX_WIDTH = 1600  # px; a grid of five columns stays sharp on a screen of twice the usual density
JPEG_QUALITY = 82
PHOTO_KINDS = ("_pictures",)  # ends of the names of figures that are made of photos


@dataclass(frozen=True)
class Picture:
    uri: str
    width: int  # px of the page
    height: int


def embed(path: Path) -> Picture:
    """Embed a plot as the SVG or PNG it is, and a grid of photos as a JPEG of bounded width.

    Raises:
        ValueError: for a file that is no picture; names it.
    """
    if path.suffix == ".svg":
        return _embed_svg(path)
    try:
        with Image.open(path) as image:
            width, height = image.size
            if path.stem.endswith(PHOTO_KINDS):
                return _embed_photos(image.convert("RGB"))
    except OSError as error:
        raise ValueError(f"{path}: not a picture that can be read ({error})") from error
    return Picture(_uri("image/png", path.read_bytes()), width // 2, height // 2)  # plots are saved at 200 dots an inch


def _embed_svg(path: Path) -> Picture:
    try:
        root = ElementTree.parse(path).getroot()
        width, height = (round(float(root.attrib[side].removesuffix("pt")) * 4 / 3) for side in ("width", "height"))
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: expected an SVG with a width and a height in points, found {error}") from error
    return Picture(_uri("image/svg+xml", path.read_bytes()), width, height)  # 72 points are 96 px


def _embed_photos(image: Image.Image) -> Picture:
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return Picture(_uri("image/jpeg", file.getvalue()), image.width // 2, image.height // 2)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
