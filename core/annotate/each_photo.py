"""Take photo after photo, with the results of an interrupted run taken up and photos that cannot be read left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from core.annotate.output import OutputFolder
from core.annotate.progress_file import stamp
from core.datasets.annotation_file import ImageRecord
from core.datasets.photo import open_rgb

Found = list[dict[str, Any]]  # JSON values, an entry for each instance


@dataclass
class PhotosDone:
    """What a run found in each photo, by image id, and why photos were left out, by file name."""

    found: dict[int, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def each_photo(
    records: Sequence[ImageRecord],
    folder: Path,
    output: OutputFolder,
    work: Callable[[ImageRecord, Image.Image], Found],
    draw: Callable[[ImageRecord, Image.Image, Found], Image.Image],
    done: PhotosDone,
    *,
    key: Callable[[ImageRecord], str],
    upright: bool,
    progress: bool,
) -> None:
    """Do the work for each photo and save its picture; `done` is filled on the way, for callers that are interrupted.

    `key` says by what a run that goes on knows a photo; `upright` as in `open_rgb`.
    """
    for record in tqdm(records, unit="photo", disable=not progress):
        path, name = folder / record.file_name, record.file_name
        of_file = stamp(path)
        found = output.progress.found(key(record), of_file)
        if found is None:
            try:
                photo = open_rgb(path, record.width, record.height, upright=upright)
            except ValueError as error:
                done.failed[name] = str(error)
                continue
            found = work(record, photo)
            if output.draws:
                output.save_picture(draw(record, photo, found), name)
            output.progress.add(key(record), of_file, found)
        done.found[record.image_id] = found
