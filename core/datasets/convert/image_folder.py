"""The files of a folder to convert: its images, found by the names that labels give them, with their sizes."""

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath

from PIL import Image

from core.datasets.photo import FORMATS, opened, upright_size
from core.files.shown import shown

NO_CLASSES = ("__ignore__", "_background_")  # in the lists of labelme


class ImageFolder:
    """The files below a folder, without hidden ones and links to folders; all paths are relative to it.

    Names in labels are looked up among its files, so that they cannot lead out of it; links to files are followed.

    Raises:
        ValueError: if there is no such folder, or it has no image.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            packed = "; unpack it and give the folder" if root.is_file() else ""
            raise ValueError(f"{root}: no such folder, expected one with images and their labels{packed}")
        self.root = root
        self.files: list[Path] = []
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
            self.files += [Path(folder, name).relative_to(root) for name in names if not name.startswith(".")]
        self.files.sort()
        endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
        self.images = [path for path in self.files if path.suffix.lower() in endings]
        if not self.images:
            raise ValueError(
                f"{root}: found no image; put the images into the folder of their labels, or a folder in it"
            )
        self._known = set(self.images)
        self._by_name, self._by_stem = defaultdict(list), defaultdict(list)
        for path in self.images:
            self._by_name[path.name].append(path)
            self._by_stem[path.stem].append(path)

    def with_ending(self, *endings: str) -> list[Path]:
        return [path for path in self.files if path.suffix.lower() in endings]

    def full(self, path: Path) -> Path:
        return self.root / path

    def find(self, name: str, place: str, *, beside: Path | None = None, stem: str | None = None) -> Path:
        """The image that labels call `name`: a path of any system, of which as much as possible must agree.

        The path may start from the folder of the file `beside`; of several images, that in this folder is meant. If
        there is none, it is the one called `stem`, with any ending.

        Raises:
            ValueError: if no image is called so, or several are.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if beside is not None and (exact := Path(os.path.normpath(beside.parent.joinpath(*parts)))) in self._known:
            return exact
        found = self._by_name.get(parts[-1] if parts else "", []) or self._by_stem.get(stem or "", [])
        if not found:
            raise ValueError(f"{place}: image {shown(name)} is not in {self.root}, expected all images there")
        agreement = {path: _common_tail(path.parts, parts) for path in found}
        best = [path for path in found if agreement[path] == max(agreement.values())]
        if len(best) > 1 and beside is not None:
            best = [path for path in best if path.parent == beside.parent] or best
        if len(best) > 1:
            raise ValueError(f"{place}: image {shown(name)} may be {best[0]} or {best[1]}, expected one of this name")
        return best[0]

    def size(self, image: Path, place: str, declared: tuple[int, int] | None = None) -> tuple[int, int]:
        """Width and height that the labels refer to: as declared, or else of the upright photo, as viewers show it.

        Raises:
            ValueError: if the file is no image, or the declared size is neither that of the upright nor of the stored
                photo.
        """
        with opened(self.full(image)) as photo:
            stored, upright = photo.size, upright_size(photo)
        if declared is None:
            return upright
        if declared not in (stored, upright):
            found = f"labels are for {declared[0]} x {declared[1]} pixels, but {image} has {upright[0]} x {upright[1]}"
            raise ValueError(f"{place}: {found}; expected the image that was labeled")
        return declared

    def lines(self, path: Path) -> list[str]:
        """The lines of a text file, without spaces around them; empty ones are kept.

        Raises:
            ValueError: if it cannot be read, or is not UTF-8.
        """
        try:
            text = self.full(path).read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise ValueError(f"{self.full(path)}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.full(path)}: is not UTF-8 at byte {error.start}; save the file as UTF-8"
            ) from error
        return [line.strip() for line in text.splitlines()]

    def class_order(self, used: set[str]) -> list[str]:
        """The classes, in the order of labels.txt or classes.txt with one a line, or else by the alphabet.

        Raises:
            ValueError: if the file lacks a class that is used.
        """
        for path in self.files:
            if path.name in ("labels.txt", "classes.txt"):
                listed = [line for line in self.lines(path) if line and line not in NO_CLASSES]
                if missing := sorted(used - set(listed)):
                    raise ValueError(
                        f"{self.full(path)}: class {shown(missing[0])} is used but not listed, expected one a line"
                    )
                return listed
        return sorted(used)


def _common_tail(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many parts of two paths agree, from the end."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count
