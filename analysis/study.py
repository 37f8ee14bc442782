"""What a study asks, read from its study file as plain data: arms, the arm to compare with, the expected order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from analysis.labels import arm_label as arm_label


@dataclass(frozen=True)
class Study:
    """`expected_order` lists arms of the expectation from low to high mask AP; empty where it names no order."""

    name: str
    question: str
    source: str
    expectation: str
    arms: tuple[str, ...]
    reference_arm: str | None
    expected_order: tuple[str, ...]


def expected_order(expectation: str, arms: Sequence[str]) -> tuple[str, ...]:
    """Find the first chain `a < b < c` of arm names in the words of an expectation.

    An arm may be written with spaces for underscores, and prose may stand before the first and after the last. A `<`
    beside anything but an arm states no order.
    """
    names = sorted((re.escape(arm.replace("_", " ").lower()) for arm in arms), key=len, reverse=True)
    if not names:
        return ()
    name = rf"(?<!\w)(?:{'|'.join(names)})(?!\w)"
    plain = expectation.replace("_", " ").replace("`", "").lower()
    chain = re.search(rf"{name}(?:\s*<\s*{name})+", plain)
    by_words = {arm.replace("_", " ").lower(): arm for arm in arms}
    return tuple(by_words[part.strip()] for part in chain.group().split("<")) if chain else ()


def load_study(path: str | Path, arms_with_results: Sequence[str]) -> Study:
    """Read a study file; without one, the study is described by its results alone.

    `arms_with_results` are the arms to show: in the file's order, those it does not name (points of a grid) last. A
    reference arm without results is none.

    Raises:
        ValueError: if the file is no YAML mapping.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text()) if path.exists() else {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping, found {type(content).__name__}")

    named = list(content.get("arms") or ())
    arms = [arm for arm in named if arm in arms_with_results]
    arms += [arm for arm in dict.fromkeys(arms_with_results) if arm not in named]
    reference_arm = content.get("reference_arm")
    expectation = " ".join(str(content.get("expectation", "")).split())
    return Study(
        name=path.stem,
        question=" ".join(str(content.get("question", "")).split()),
        source=" ".join(str(content.get("source", "")).split()),
        expectation=expectation,
        arms=tuple(arms),
        reference_arm=reference_arm if reference_arm in arms else None,
        expected_order=expected_order(expectation, named + arms),
    )
