"""What a study asks, read from its study file as plain data: arms, the arm to compare with, the expected orders."""

import argparse
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SETS = "sets"  # beside the folder of the study files: which studies go with which data


@dataclass(frozen=True)
class Study:
    """Each of `expected_orders` lists arms of the expectation from low to high mask AP.

    `has_words` says that the expectation states more than these orders, which nothing judges.
    """

    name: str
    question: str
    source: str
    expectation: str
    arms: tuple[str, ...]
    reference_arm: str | None
    expected_orders: tuple[tuple[str, ...], ...]
    has_words: bool


def read_expectation(expectation: str, arms: Sequence[str]) -> tuple[tuple[tuple[str, ...], ...], bool]:
    """Find every chain `a < b < c` of arm names in an expectation, and whether it says anything beside them.

    An arm may be written with spaces for underscores; prose may stand around a chain. A `<` beside anything but an arm
    states no order.
    """
    by_words = {arm.replace("_", " ").lower(): arm for arm in arms}
    plain = expectation.replace("_", " ").replace("`", "").lower()
    if not by_words:
        return (), bool(re.search(r"\w", plain))
    names = "|".join(re.escape(words) for words in sorted(by_words, key=len, reverse=True))
    name = rf"(?<!\w)(?:{names})(?!\w|[.,=]\w)"  # `a=0.3` is not `a=0`
    chain = rf"{name}(?:\s*<\s*{name})+"
    orders = tuple(
        tuple(by_words[part.strip()] for part in found.group().split("<")) for found in re.finditer(chain, plain)
    )
    return orders, bool(re.search(r"\w", re.sub(chain, "", plain)))


def load_study(path: str | Path, arms_with_results: Sequence[str]) -> Study:
    """Read a study file; without one, the study is described by its results alone.

    `arms_with_results` are the arms to show: in the file's order, those it does not name (points of a grid) last. A
    reference arm without results is none.

    Raises:
        ValueError: if the file is no YAML mapping.
    """
    path = Path(path)
    content = _read_mapping(path) if path.exists() else {}
    named = list(content.get("arms") or content.get("recipes") or ())
    arms = [arm for arm in named if arm in arms_with_results]
    arms += [arm for arm in dict.fromkeys(arms_with_results) if arm not in named]
    reference_arm = content.get("reference_arm")
    expectation = " ".join(str(content.get("expectation", "")).split())
    orders, has_words = read_expectation(expectation, named + arms)
    return Study(
        name=path.stem,
        question=" ".join(str(content.get("question", "")).split()),
        source=" ".join(str(content.get("source", "")).split()),
        expectation=expectation,
        arms=tuple(arms),
        reference_arm=reference_arm if reference_arm in arms else None,
        expected_orders=orders,
        has_words=has_words,
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Let a command line name the studies that it takes: results of another data set may lie beside them."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--studies", nargs="+", help="names; default: every study that has results")
    choice.add_argument("--params", type=Path, help="the studies of the set that this file names")


def chosen_studies(options: argparse.Namespace) -> list[str] | None:
    """The studies that the command line names, itself or by the set of its params file; None for all.

    `set: shapes` of the params file names `sets/shapes.yaml`, beside the folder of the study files.

    Raises:
        ValueError: if a file cannot be read, the params have no `set`, or the set no list of names under `studies`.
    """
    if options.params is None:
        return options.studies
    name = _read_mapping(options.params).get("set")
    if not isinstance(name, str):
        raise ValueError(f"{options.params}: set: expected the name of a set, found {name!r}")
    path = options.study_files.with_name(SETS) / f"{name}.yaml"
    if not path.exists():
        known = [file.stem for file in sorted(path.parent.glob("*.yaml"))]
        raise ValueError(f"{options.params}: set '{name}': no file {path}{nearest(name, known)}")
    studies = _read_mapping(path).get("studies")
    if not isinstance(studies, list):
        raise ValueError(f"{path}: studies: expected a list of names, found {studies!r}")
    return [str(study) for study in studies]


def nearest(word: str, known: Sequence[str]) -> str:
    """` (did you mean '...'?)` for the known word that looks most like it; empty where none does."""
    match = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{match[0]}'?)" if match else ""


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping, found {type(content).__name__}")
    return content
