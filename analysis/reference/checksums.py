"""Checksums of a reference folder in the format of `sha256sum`, which detect any edit.

`python -m analysis.reference.checksums reference/shapes` rewrites `SHA256SUMS` after a deliberate edit. `sha256sum
--check SHA256SUMS` in the folder checks it without this project.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

from core.compute.command import run_command
from core.files.atomic import write_text
from core.files.json_file import read_utf8

CHECKSUMS = "SHA256SUMS"
LEFT_OUT = (CHECKSUMS, "README.md")  # the README may be edited at any time


def summed_files(folder: Path) -> list[Path]:
    """All files of the folder with results, sorted by name."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in LEFT_OUT)
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def write_checksums(folder: Path) -> Path:
    lines = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in summed_files(folder)]
    write_text(folder / CHECKSUMS, "".join(lines))
    return folder / CHECKSUMS


def check_checksums(folder: Path) -> list[str]:
    """One line per file that was changed, removed or added since the checksums were written.

    Raises:
        ValueError: for a line that is not `<64 hex digits>  <path>`; names file and line.
    """
    path = folder / CHECKSUMS
    if not path.exists():
        return [f"{path}: missing, so edits of this folder cannot be detected"]
    expected = {}
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if match is None:
            raise ValueError(f"{path}, line {number}: found '{line}', expected a SHA-256 sum, two spaces and a path")
        expected[match[2]] = match[1]
    found = {file.relative_to(folder).as_posix(): _sha256(file) for file in summed_files(folder)}
    lines = []
    for name in sorted(expected | found):
        if name not in found:
            lines.append(f"{folder / name}: missing, but {CHECKSUMS} lists it")
        elif name not in expected:
            lines.append(f"{folder / name}: not listed in {CHECKSUMS}")
        elif found[name] != expected[name]:
            lines.append(f"{folder / name}: edited: SHA-256 {found[name][:12]}..., published {expected[name][:12]}...")
    return lines


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.reference.checksums", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="reference folder, such as reference/shapes")
    options = parser.parse_args(arguments)

    def work() -> None:
        if not options.folder.is_dir():
            raise ValueError(f"{options.folder}: no such folder")
        print(f"{write_checksums(options.folder)}: {len(summed_files(options.folder))} files")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
