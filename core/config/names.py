"""What studies, sets, recipes and arms may be called: their names become paths, words of commands and text of reports.

Only ASCII letters, digits and a few marks that no shell, path, HTML, LaTeX or spreadsheet reads as its own; the first
character is none of the marks, so that no name is taken for an option or a formula.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
ARM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=,+-]{0,149}")
# A study's results are `results/<study>.csv`, `results/<study>/` and files such as `<study>_curves.png`. Other results
# have these names:
TAKEN = ("comparison", "consistency", "edge_purity", "metrics", "plots", "tables")
TAKEN_ENDS = ("_arms", "_curves", "_ious", "_pictures", "_sizes")
TAKEN_START = "published_"


def plain(name: str) -> str:
    """Validate the name of a file without its extension."""
    if not NAME.fullmatch(name):
        raise ValueError("expected letters, digits, - and _ only, at most 100, the first not a -")
    return name


Name = Annotated[str, AfterValidator(plain)]


def checked_name(kind: str, name: object) -> str:
    """Validate the name of a `kind`: a set, a recipe or a study.

    Raises:
        ValueError: states the kind, the name and what is expected.
    """
    try:
        return plain(name if isinstance(name, str) else "")
    except ValueError as error:
        raise ValueError(f"{kind} {name!r:.120}: {error}") from None


def checked_study(name: object) -> str:
    """Validate the name of a study, which its results must not share with other files.

    Raises:
        ValueError: states the name and what is expected.
    """
    name = checked_name("study", name)
    if name in TAKEN or name.endswith(TAKEN_ENDS) or name.startswith(TAKEN_START):
        raise ValueError(
            f"study '{name}': the results have other files of this name; expected none of {', '.join(TAKEN)}, "
            f"no name that starts with {TAKEN_START} or ends with one of {', '.join(TAKEN_ENDS)}"
        )
    return name


def checked_key(key: str) -> str:
    """Validate the key of a trial, which names the file of its record.

    Raises:
        ValueError: states the key and what is expected.
    """
    if not ARM.fullmatch(key):
        raise ValueError(f"trial key {key!r:.200}: expected letters and digits (it names a file)")
    return key


def checked_arm(name: str) -> str:
    """Validate the name of an arm, which also holds the values of a grid: `color_threshold=0.1`.

    Raises:
        ValueError: states the name and what is expected.
    """
    if not ARM.fullmatch(name):
        raise ValueError(
            f"arm {name!r:.200}: expected only letters, digits and . = , + - _ (it names a folder), at most 150, "
            "the first a letter, a digit or _"
        )
    return name
