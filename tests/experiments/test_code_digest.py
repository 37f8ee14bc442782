"""The code that decides what a trial computes, and its digest: what makes a trial stale, and what does not."""

import io
import tokenize
from pathlib import Path

import pytest

from experiments.code_digest import code_digest, code_of, trial_sources
from experiments.provenance import provenance


def test_the_code_digest_changes_with_bytes_names_and_versions(tmp_path: Path) -> None:
    versions = {"torch": "2.11.0", "torchvision": "0.26.0"}
    paths = [tmp_path / "a.py", tmp_path / "b.py"]
    for path in paths:
        path.write_text("x = 1\n")
    before = code_digest(paths, versions, tmp_path)
    assert code_digest(paths, versions, tmp_path) == before
    assert code_digest(paths, versions | {"torch": "2.12.0"}, tmp_path) != before
    assert code_digest(paths[:1], versions, tmp_path) != before
    paths[1].write_text("x = 2\n")
    assert code_digest(paths, versions, tmp_path) != before


def test_the_code_of_a_trial_is_what_it_imports_directly_or_not(tmp_path: Path) -> None:
    files = {
        "experiments/trial.py": "from core.training.loop import train\nimport json\n",
        "core/training/loop.py": "def train():\n    from core.losses.dice import dice  # where it is needed\n",
        "core/losses/__init__.py": "",
        "core/losses/dice.py": "import core.geometry\n",
        "core/geometry.py": "",
        "core/download.py": "from core.training.loop import train\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = {path.relative_to(tmp_path).as_posix() for path in trial_sources(tmp_path)}
    assert found == set(files) - {"core/download.py"}


def test_the_code_of_a_trial_is_that_of_its_training_and_not_the_command_lines() -> None:
    names = {path.as_posix().split("/", -1)[-2] + "/" + path.name for path in trial_sources()}
    assert {"training/loop.py", "losses/pairwise.py", "experiments/trial.py"} <= names
    assert not {"experiments/run.py", "annotate/__main__.py", "annotate/filled.py", "check/__main__.py"} & names


def test_the_digest_in_a_record_has_16_digits() -> None:
    assert len(provenance().code) == 16


SOURCE = '''"""A module."""
import math  # for pi


def area(radius: float) -> float:
    """Of a circle.

    In square pixels.
    """
    # no units
    text = """two  
    
    # lines"""
    return math.pi * radius**2, text, "# no comment"
'''


def test_comments_docstrings_and_empty_lines_are_no_part_of_the_code() -> None:
    assert code_of(SOURCE) == (
        "import math\ndef area(radius: float) -> float:\n"
        '    text = """two  \n    \n    # lines"""\n    return math.pi * radius**2, text, "# no comment"'
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A module.", "Another."),
        ("In square pixels.", "In pixels.\n\n    Each counts once."),
        ("# no units", ""),
        ("  # for pi\n", "\n\n"),
    ],
)
def test_other_words_leave_the_code_as_it_is(old: str, new: str) -> None:
    assert code_of(SOURCE.replace(old, new)) == code_of(SOURCE) != ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("**2", "**3"),
        ("two  ", "two"),
        ("    \n    # lines", "    # lines"),
        ("# lines", "# words"),
        ("# no comment", "# none"),
        ('"""A module."""', '"""A module."""; x = 1'),
        ("    return", "    if radius:\n        return"),
    ],
)
def test_all_else_is_code(old: str, new: str) -> None:
    assert code_of(SOURCE.replace(old, new, 1)) != code_of(SOURCE)


def test_a_comment_between_the_parts_of_a_text_is_no_part_of_the_code() -> None:
    joined = 'x = (\n    "a"  # one\n    # two\n    "b"\n)\n'
    assert code_of(joined) == 'x = (\n    "a"\n    "b"\n)'


def test_a_docstring_beside_code_counts_as_code() -> None:
    beside = "class A: 'of one line'\n"
    assert code_of(beside) == beside.rstrip()
    assert code_of("def f(\n    x): 'doc'\n") == "def f(\n    x): 'doc'"


@pytest.mark.parametrize("path", trial_sources(), ids=lambda path: path.name)
def test_the_text_that_is_left_of_a_source_has_the_same_code(path: Path) -> None:
    assert tokens(code_of(path.read_text())) == tokens(path.read_text())


def tokens(source: str) -> list[str]:
    """The tokens of a source in order, without comments, ends of lines and texts that are statements of their own."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}
    found = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in silent]
    types = [tokenize.NEWLINE, *(token.type for token in found), tokenize.NEWLINE]
    alone = [tokenize.NEWLINE, tokenize.STRING, tokenize.NEWLINE]
    return [
        token.string
        for place, token in enumerate(found)
        if token.type != tokenize.NEWLINE and types[place : place + 3] != alone
    ]
