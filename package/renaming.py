"""Turns `core` into `boxinst.core`: for the wheel by copying, for an editable installation while importing.

Inside the repository `core` is a top-level package and its imports are absolute. Installed under that name it would
collide with any other `core`, so an installation has it inside `boxinst`, and its source says `boxinst.core` wherever
it says `core`: in imports, and in the commands that messages recommend. Nothing but the names changes; lines keep
their numbers. Standard library only: an editable installation imports this file at every start of Python.
"""

import re
import sys
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

COMMANDS = {  # what a message recommends in the repository: what it recommends where the package is installed
    "python -m core.train": "boxinst train",
    "python -m core.datasets.convert": "boxinst convert",
    "python -m core.datasets.check": "boxinst check",
    "python -m core.annotate": "boxinst annotate",
    "python -m core.evaluation": "boxinst evaluate",
    "python -m core.evaluation.mask_iou": "boxinst mask-iou",
    "python -m core.datasets.download": "boxinst download",
}
NAME = re.compile(r"(?<![\w./-])core(?=\.[a-z]|\s+import\b)")  # a module's name: no path, no attribute
# The folders of the package in the repository, by their place below `boxinst`. `core` looks for the recipes beside it.
FOLDERS = {"": "boxinst", "core": "core", "experiments/recipes": "experiments/recipes"}


def renamed(source: str) -> str:
    """The source of a module of `core` or `boxinst`, as it is installed."""
    for ours, installed in COMMANDS.items():
        source = re.sub(rf"{re.escape(ours)}(?![\w.])", installed, source)
    return NAME.sub("boxinst.core", source)


def write_package(repository: Path, target: Path) -> None:
    """Write the package as it is installed: every file of `FOLDERS`, Python sources renamed."""
    for place, folder in FOLDERS.items():
        for path in sorted((repository / folder).rglob("*")):
            if path.is_dir() or "__pycache__" in path.parts:
                continue
            copy = target / place / path.relative_to(repository / folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes()
            copy.write_bytes(renamed(content.decode()).encode() if path.suffix == ".py" else content)


class RenamingLoader(SourceLoader):
    """Loads a module of the repository under its installed name.

    The bytecode of the file belongs to the repository's own name: without `path_stats`, it is neither read nor written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get_filename(self, fullname: str) -> str:
        return str(self.path)

    def get_data(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def source_to_code(self, data: bytes, path: str) -> CodeType:
        return super().source_to_code(renamed(decode_source(data)).encode(), path)


class RepositoryFinder(MetaPathFinder):
    """Finds `boxinst` in the repository, and `boxinst.core` in its folder `core`.

    The last finder that Python asks: within a repository its own folder `boxinst` comes first, and `core` beside it.
    """

    def __init__(self, repository: Path) -> None:
        self.repository = repository

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, *names = fullname.split(".")
        if package != "boxinst":
            return None
        module = self.repository.joinpath(*(names if names[:1] == ["core"] else [package, *names]))
        if (file := module / "__init__.py").is_file():
            spec = spec_from_file_location(fullname, file, loader=RenamingLoader(file), submodule_search_locations=[])
            spec.submodule_search_locations.clear()  # of its folder, where Python would load the modules as they are
            return spec
        file = module.with_suffix(".py")
        return spec_from_file_location(fullname, file, loader=RenamingLoader(file)) if file.is_file() else None


def install(repository: str) -> None:
    """Make the package importable from this repository; an editable installation calls it at Python's start."""
    sys.meta_path.append(RepositoryFinder(Path(repository)))
