"""An equation of the paper has one number everywhere: the numbers that files name are those of one list."""

import re
from pathlib import Path

import core.losses

ROOT = Path(core.losses.__file__).parents[2]
NAMED = re.compile(r"\b(?:equations?|Eq\.) (\d+)(?: and (\d+))?", re.IGNORECASE)


def listed() -> set[str]:
    return set(re.findall(r"^- (\d+):", core.losses.__doc__ or "", flags=re.MULTILINE))


def test_every_equation_that_a_file_names_is_in_the_list() -> None:
    folders = ("core", "boxinst", "experiments", "analysis", "examples", "tests")
    files = [ROOT / "README.md", *(path for name in folders for path in (ROOT / name).rglob("*.*"))]
    sources = [path for path in files if path.suffix in (".py", ".yaml", ".md")]
    named = {
        (path.relative_to(ROOT).as_posix(), number)
        for path in sources
        for line in path.read_text().splitlines()
        if "FCOS" not in line  # another paper
        for groups in NAMED.findall(line)
        for number in groups
        if number
    }
    assert {path for path, _ in named} >= {"core/losses/pairwise.py", "core/edge_purity.py", "README.md"}
    assert {number for _, number in named} <= listed() == {"4", "5", "8"}
