"""Files on their way through Ray's object store: their bytes, by path below a folder."""

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from core.files.atomic import replaced

Parcel = dict[str, UInt8[np.ndarray, "bytes"]]


def pack(folder: Path, names: Iterable[str] | None = None) -> Parcel:
    """The files of a folder with these paths below it; default: all but the hidden ones, which are being written.

    They are mapped, not read: a trial may be close to the limit of its memory.
    """
    if names is None:
        paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
        names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    return {name: _content(folder / name) for name in names}


def unpack(parcel: Parcel, folder: Path, last: Collection[str] = ()) -> None:
    """Write the files below `folder`, each atomically, and those named in `last` after all others, in that order."""
    order = list(last)
    for name in sorted(parcel, key=lambda name: order.index(name) if name in order else -1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as partial:
            partial.write_bytes(parcel[name].data)


def _content(path: Path) -> UInt8[np.ndarray, "bytes"]:
    if path.stat().st_size == 0:  # nothing to map
        return np.zeros(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, mode="r"))
