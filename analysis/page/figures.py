"""The figures of a page: which plots belong to a section, embedded as data URIs."""

import base64
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

MAX_WIDTH = 1600  # px of a grid of photos, so that the page stays small
PAGE_WIDTH = 1170  # px that a figure can fill
JPEG_QUALITY = 82
PHOTO_KINDS = ("_pictures",)  # suffixes of the names of figures made of photos
CAPTIONS = {  # by the suffix of a figure's name
    "": "Main result",
    "_curves": "Training curves",
    "_sizes": "Mask AP by object size",
    "_ious": "Masks apart from detection: their IoU with the true ones, where the box is right",
    "_pictures": "Validation images, successes and failures, one column per arm",
    "consistency": "What a box provides on one photo: its projections, and neighbors of similar color",
}
TITLES = {"main": "Backbones and schedules on COCO", "voc": "Pascal VOC", "warmup": "Warm-up"}  # others: their names
ORDER_OF_FIGURES = ("", "_sizes", "_ious", "_pictures", "_curves")
OWNERS = {"consistency": "edge_purity"}  # figures not named after their section


@dataclass(frozen=True)
class Picture:
    uri: str
    width: int  # px on the page
    height: int


@dataclass(frozen=True)
class Figure:
    caption: str
    alternative: str  # for screen readers
    picture: Picture


def figures_of(name: str, plots: Path, names: Collection[str]) -> tuple[Figure, ...]:
    """The plots of one section, as SVG if available; `names` are all sections, see `owner`.

    Raises:
        ValueError: if a file is not a picture; names it.
    """
    paths = sorted(plots.glob("*.png")) + sorted(plots.glob("*.svg"))
    by_stem = {path.stem: path for path in paths}  # SVG takes precedence
    own = [stem for stem in by_stem if name == owner(stem, names)]
    figures = []
    for stem in sorted(own, key=lambda stem: _place(stem.removeprefix(name))):
        caption = caption_of(stem.removeprefix(name))
        alternative = f"{caption}: {title(name).lower()}."
        if stem in (name, f"{name}_sizes"):
            alternative += " The numbers are in the table above."
        figures.append(Figure(caption, alternative, embed(by_stem[stem])))
    return tuple(figures)


def owner(stem: str, names: Collection[str]) -> str | None:
    """The section that a plot belongs to: the longest name that the plot's name starts with."""
    fitting = [name for name in names if stem == name or stem.startswith(f"{name}_")]
    return OWNERS.get(stem) or max(fitting, key=len, default=None)


def _place(end: str) -> tuple[int, str]:
    return (ORDER_OF_FIGURES.index(end) if end in ORDER_OF_FIGURES else len(ORDER_OF_FIGURES), end)


def caption_of(end: str) -> str:
    return CAPTIONS.get(end) or title(end.strip("_"))


def title(name: str) -> str:
    """The heading of a section, by the name of its study, measurement or table."""
    return TITLES.get(name) or name.replace("_", " ").capitalize()


def embed(path: Path) -> Picture:
    """Embed a plot as SVG or PNG, and a grid of photos as a JPEG of bounded width.

    Raises:
        ValueError: if a file is not a picture; names it.
    """
    if path.suffix == ".svg":
        return embed_svg(path.read_bytes(), str(path))
    try:
        with Image.open(path) as image:
            width, height = image.size
            if path.stem.endswith(PHOTO_KINDS):
                return _embed_photos(image.convert("RGB"))
    except OSError as error:
        raise ValueError(f"{path}: not a readable picture ({error})") from error
    return Picture(_uri("image/png", path.read_bytes()), width // 2, height // 2)  # plots are saved at 200 dpi


def embed_svg(content: bytes, name: str) -> Picture:
    """Embed the content of an SVG file.

    Raises:
        ValueError: if it is none, or has no size in points; names it.
    """
    try:
        root = ElementTree.fromstring(content)
        width, height = (round(float(root.attrib[side].removesuffix("pt")) * 4 / 3) for side in ("width", "height"))
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(f"{name}: expected an SVG with a width and a height in points, found {error}") from error
    return Picture(_uri("image/svg+xml", content), width, height)  # 72 points are 96 px


def _embed_photos(image: Image.Image) -> Picture:
    width = min(image.width, PAGE_WIDTH)
    height = round(width * image.height / image.width)
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return Picture(_uri("image/jpeg", file.getvalue()), width, height)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
