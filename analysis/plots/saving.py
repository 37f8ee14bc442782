"""Figures as files that equal figures make equal."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.plain_text import printable
from core.files.atomic import write_bytes

TRIALS = "Trials"  # key of a PNG's text chunk


def save(
    figure: Figure, stem: Path, formats: Sequence[str] = ("png", "svg"), *, trials: Sequence[str] = ()
) -> list[Path]:
    """Write `stem.png` and `stem.svg` without dates and program versions, so that equal figures give equal bytes.

    A PNG names `trials`, the keys of those that it shows, in its text chunk TRIALS.
    """
    paths = []
    for extension in formats:
        paths.append(stem.with_name(f"{stem.name}.{extension}"))
        write_bytes(paths[-1], drawn(figure, extension, trials))
    return paths


def drawn(figure: Figure, extension: str, trials: Sequence[str] = ()) -> bytes:
    """The figure as the content of an SVG or PNG file, without date and program version."""
    for text in figure.findobj(Text):
        text.set_text("\n".join(printable(line) for line in text.get_text().split("\n")))
    metadata = {"Date": None, "Creator": None} if extension == "svg" else {"Software": None}
    if trials and extension == "png":
        metadata[TRIALS] = " ".join(trials)
    file = io.BytesIO()
    figure.savefig(file, format=extension, metadata=metadata)
    return file.getvalue()
