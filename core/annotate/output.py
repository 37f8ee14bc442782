"""The folder that a run writes: one annotation file and a picture of each photo; nothing of others is replaced."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.annotate.progress_file import ProgressFile
from core.datasets.photo_folder import MADE_BY, PNG_KEY, is_drawn
from core.files.atomic import replaced, write_bytes
from core.files.json_file import read_json
from core.files.lock import folder_lock

ANNOTATIONS = "annotations.json"
MADE_HERE = {"description": f"written by {MADE_BY}"}  # `info` of a file that is not filled from another
JPEG_QUALITY = 90
LONGEST_JPEG_SIDE = 65500  # px, of the JPEG library

Pictures = Literal["auto", "jpg", "png", "none"]  # auto: PNG for a photo that is one, else JPEG


@contextmanager
def output_folder(
    folder: Path, pictures: Pictures, task: dict[str, Any], file_names: Sequence[str]
) -> Iterator["OutputFolder"]:
    """The output folder of a run, created if missing, ready for pictures of these photos; for this process alone.

    Raises:
        ValueError: if another process works in it, or a file that no earlier run wrote would be replaced.
    """
    with folder_lock(folder, "annotation"):
        output = OutputFolder(folder, pictures, task)
        output.start(file_names)
        yield output


class OutputFolder:
    """The output folder of a run that does `task` (see `ProgressFile`), with pictures of this kind."""

    def __init__(self, folder: Path, pictures: Pictures, task: dict[str, Any]) -> None:
        self.annotations = folder / ANNOTATIONS
        self.pictures = pictures
        self.folder = folder
        self.progress = ProgressFile(folder, task | {"pictures": pictures})

    @property
    def draws(self) -> bool:
        return self.pictures != "none"

    def start(self, file_names: Sequence[str]) -> None:
        """Get ready to write pictures of these photos, and the annotation file; raises as `output_folder`."""
        pictures = [self.picture_path(name) for name in file_names] if self.draws else []
        foreign = [path for path in pictures if path.exists() and not is_drawn(path)]
        if self.annotations.exists() and not self._wrote_annotations():
            foreign.append(self.annotations)
        if foreign:
            expected = "expected none or one of an earlier run: move it away, or choose another --out"
            raise ValueError(f"{foreign[0]}: was not written by {MADE_BY} and would be replaced; {expected}")
        self.progress.start()

    def _wrote_annotations(self) -> bool:
        if self.progress.wrote(self.annotations):
            return True
        try:
            content, _ = read_json(self.annotations)
        except ValueError:
            return False
        return isinstance(content, dict) and content.get("info") == MADE_HERE

    def picture_path(self, file_name: str) -> Path:
        kind = self.pictures
        if kind == "auto":
            kind = "png" if file_name.lower().endswith(".png") else "jpg"
        return self.folder / f"{file_name}.{kind}"

    def save_picture(self, picture: Image.Image, file_name: str) -> None:
        """Write the picture of a photo, marked as such, so that it is never taken for a photo."""
        path = self.picture_path(file_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as partial:
            if path.suffix == ".png":
                mark = PngInfo()
                mark.add_text(PNG_KEY, MADE_BY)
                picture.save(partial, format="PNG", pnginfo=mark)
            else:
                picture.thumbnail((LONGEST_JPEG_SIDE, LONGEST_JPEG_SIDE))
                picture.save(partial, format="JPEG", quality=JPEG_QUALITY, comment=MADE_BY.encode())

    def write_annotations(self, content: dict[str, Any]) -> None:
        encoded = json.dumps(content).encode()
        self.progress.about_to_write(encoded)
        write_bytes(self.annotations, encoded)
