"""The golden folder: some test reads each of its files."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
GOLDEN_DIR = Path(os.environ.get("GOLDEN_DIR", TESTS / "golden"))
SOURCES = [path for path in TESTS.rglob("*.py") if path != Path(__file__)]
RECORDS = [".npz", ".json", ".yaml"]
EXPLAINED = [".md", ".py"]  # what no test need read
FILES = [p for p in sorted(GOLDEN_DIR.iterdir()) if p.is_file() and p.suffix not in EXPLAINED and p.name[0] != "."]


def literals(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def texts(path: Path) -> Iterator[str]:
    """The literal texts of a file, and its f-strings with any of them, or of a test file that it imports, inserted."""
    tree = ast.parse(path.read_text())
    imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = [TESTS.parent / f"{name.replace('.', '/')}.py" for name in imports if name.startswith("tests.")]
    known = literals(tree).union(*(literals(ast.parse(other.read_text())) for other in imported if other.is_file()))
    yield from literals(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for text in known:
                yield "".join(part.value if isinstance(part, ast.Constant) else text for part in node.values)


@pytest.fixture(scope="module")
def named() -> set[str]:
    """Everything that some test names, without a suffix."""
    found = {text for path in SOURCES for text in texts(path)}
    return {text.removesuffix(Path(text).suffix) if Path(text).suffix in RECORDS else text for text in found}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_file_is_read_by_some_golden_test(path: Path, named: set[str]) -> None:
    assert path.stem in named
