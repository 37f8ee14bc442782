"""Compare the plots of a reference with those that its records give.

An SVG must be equal to the byte, a PNG in every pixel: equal figures give equal files with equal versions of
matplotlib and FreeType. `plots/drawn_with.json` names the versions that drew the plots; with others they are not
compared, which is said. A grid of pictures cannot be drawn from records: it names the trials that it shows, and these
must be in the study.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import ft2font
from PIL import Image

from analysis.plots.saving import TRIALS
from core.files.atomic import write_text
from core.files.json_file import parse_json, read_utf8

DRAWN_WITH = "drawn_with.json"
GRIDS = "*_pictures.png"
WITHOUT_RECORDS = (GRIDS, "consistency.*", DRAWN_WITH)  # what records do not determine


def versions() -> dict[str, str]:
    return {"matplotlib": matplotlib.__version__, "freetype": ft2font.__freetype_version__}


def write_versions(plots: Path) -> None:
    write_text(plots / DRAWN_WITH, json.dumps(versions(), indent=1) + "\n")


def drawn_elsewhere(plots: Path) -> str:
    """Which other versions drew these plots; empty if those that are installed, or if it is not recorded.

    Raises:
        ValueError: if the record of the versions is malformed; names it.
    """
    path = plots / DRAWN_WITH
    there = parse_json(read_utf8(path), path) if path.exists() else versions()
    if there == versions():
        return ""
    return f"{plots}: drawn with {_named(there)}, here is {_named(versions())}: plots are NOT compared"


def _named(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def plot_differences(committed: Path, redrawn: Path) -> Iterator[str]:
    """One line for each plot that differs from the redrawn one, is missing, or is not given by the records."""
    theirs, ours = ({path.name for path in folder.glob("*.*")} for folder in (committed, redrawn))
    for name in sorted(theirs | ours):
        place = committed / name
        if name not in theirs:
            yield f"{place}: missing; the records give it"
        elif name in ours:
            if difference := _difference(place, redrawn / name):
                yield f"{place}: {difference}"
        elif not any(place.match(pattern) for pattern in WITHOUT_RECORDS):
            yield f"{place}: not given by the records"


def _difference(committed: Path, redrawn: Path) -> str:
    """How a plot differs from the redrawn one, in a few words; empty if it is equal."""
    if committed.suffix == ".svg":
        theirs, ours = committed.read_bytes().split(b"\n"), redrawn.read_bytes().split(b"\n")
        if theirs == ours:
            return ""
        lines = [number for number, pair in enumerate(zip(theirs, ours, strict=False), start=1) if pair[0] != pair[1]]
        where = f"from line {lines[0]} on" if lines else f"{len(theirs)} lines, redrawn {len(ours)}"
        return f"not the plot that the records give: it differs {where}"
    theirs, ours = (_pixels(path) for path in (committed, redrawn))
    if theirs.shape != ours.shape:
        return f"not the plot that the records give: {_size(theirs)} px, redrawn {_size(ours)} px"
    unequal = int((theirs != ours).any(axis=-1).sum())
    return f"not the plot that the records give: {unequal} pixels differ" if unequal else ""


def _pixels(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGBA"))
    except OSError as error:
        raise ValueError(f"{path}: not a readable picture ({error})") from error


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def stale_grids(folder: Path) -> dict[Path, str]:
    """The grids of pictures in a reference that show a trial which their study lacks, and how to say it."""
    stale = {}
    for path, trials in _grids(folder).items():
        records = folder / path.name.removesuffix("_pictures.png") / "trials"
        lacking = [key for key in trials or () if not (records / f"{key}.json").exists()]
        if lacking:
            stale[path] = f"{path}: shows trials that are not in {records}: {', '.join(lacking)}"
    return stale


def silent_grids(folder: Path) -> list[str]:
    """The grids that name no trials, so that nothing can be said of them; one line each."""
    return [f"{path}: does not name the trials that it shows" for path, of in _grids(folder).items() if of is None]


def _grids(folder: Path) -> dict[Path, list[str] | None]:
    """The grids of pictures with the keys of the trials that they name."""
    found: dict[Path, list[str] | None] = {}
    for path in sorted((folder / "plots").glob(GRIDS)):
        try:
            with Image.open(path) as image:
                named = image.info.get(TRIALS)
        except OSError as error:
            raise ValueError(f"{path}: not a readable picture ({error})") from error
        found[path] = None if named is None else str(named).split()
    return found
