"""Read XML files safely: without entities and document types, and with the line of every element for errors."""

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate

from core.datasets.numbers import is_number
from core.files.shown import shown


class Tag(Element):
    """An element that knows its line, from 1."""

    line: int


def read_xml(path: Path) -> Tag:
    """The root of an XML file.

    Raises:
        ValueError: if it cannot be read, is not well-formed, or has a document type: entities that it defines could
            grow without limit or name other files.
    """

    def start(name: str, attributes: dict[str, str]) -> None:
        builder.start(name, attributes).line = parser.CurrentLineNumber

    def refuse(*_: object) -> None:
        raise ValueError(f"{path}: has a document type (<!DOCTYPE ...>), which is not read; remove it")

    builder = TreeBuilder(element_factory=Tag)
    parser = ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except (ExpatError, LookupError, UnicodeError) as error:  # the latter two: an unknown encoding
        raise ValueError(f"{path}: not valid XML: {error}") from error
    return builder.close()


def located(path: Path, element: Tag) -> str:
    """Where an element is, for errors."""
    return f"{path}, line {element.line}"


def number(text: str | None, place: str, what: str) -> float:
    """A number of an attribute or element.

    Raises:
        ValueError: if there is none, or it is not finite.
    """
    try:
        value = float(text or "")
    except ValueError:
        value = None
    if not is_number(value):
        raise ValueError(f"{place}: {what} is {shown(text)}, expected a number")
    return value


def declared_size(width: str | None, height: str | None, place: str) -> tuple[int, int] | None:
    """Width and height that a file gives for an image; None if it gives none, or zeros.

    Raises:
        ValueError: if they are no numbers.
    """
    if not width and not height:
        return None
    size = int(number(width, place, "width")), int(number(height, place, "height"))
    return None if size == (0, 0) else size
