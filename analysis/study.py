"""A study file as plain data: question, arms, labels, expected orders and view."""

import argparse
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.plain_text import one_line
from core.config.expectation import read_expectation
from core.config.file import nearest, read_yaml

SETS = "sets"  # folder beside that of the study files: the data and studies of each set


@dataclass(frozen=True)
class Study:
    """Each of `expected_orders` lists arms of the expectation from low to high mask AP.

    `has_words` is True if the expectation states more than these orders; the rest is not judged. `view` names a module
    of analysis/studies, `x` the field on the x-axis of its figure.
    """

    file: Path  # the study file
    question: str
    source: str
    expectation: str
    arms: tuple[str, ...]
    reference_arm: str | None
    expected_orders: tuple[tuple[str, ...], ...]
    has_words: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    view: str | None = None
    x: str | None = None

    @property
    def name(self) -> str:
        return self.file.stem

    def label(self, arm: str) -> str:
        """Name of an arm for readers: its label, or the labels of its parts, or its name with spaces.

        An arm of a grid is named after its values, such as `color_threshold=0.1`; commas separate them.
        """
        if arm in self.labels:
            return self.labels[arm]
        return ", ".join(self.labels.get(part) or _plain(part) for part in arm.split(","))


def _plain(part: str) -> str:
    name, equals, value = part.partition("=")
    words = name.replace("_", " ")
    return f"{words} = {value}" if equals else words


def load_study(path: str | Path, arms_with_results: Sequence[str]) -> Study:
    """Read a study file; if it does not exist, the study has only the arms of its results.

    `arms_with_results` are the arms to show: in the order of the file, then those that it does not name.
    `reference_arm` is None if that arm has no results.

    Raises:
        ValueError: if the file is not a YAML mapping, or its labels or expectation name an unknown arm; names the file,
            the unknown name and the nearest arm.
    """
    path = Path(path)
    content = read_yaml(path) if path.exists() else {}
    named = _arm_names(content)
    shown = [arm for arm in named if arm in arms_with_results]
    shown += [arm for arm in dict.fromkeys(arms_with_results) if arm not in named]
    known = dict.fromkeys([*named, *shown])
    # Names built from `vary` may be misspelled themselves: suggest only those that have results.
    suggested = [*(content.get("arms") or content.get("recipes") or ()), *shown]
    expectation = _one_line(content.get("expectation"))
    try:
        orders, has_words = read_expectation(expectation, known, suggested)
        labels = _labels(content.get("labels") or {}, known, suggested)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    reference_arm = content.get("reference_arm")
    return Study(
        file=path,
        question=_one_line(content.get("question")),
        source=_one_line(content.get("source")),
        expectation=expectation,
        arms=tuple(shown),
        reference_arm=reference_arm if reference_arm in shown else None,
        expected_orders=orders,
        has_words=has_words,
        labels=labels,
        view=content.get("view"),
        x=content.get("x"),
    )


def _arm_names(content: Mapping[str, Any]) -> list[str]:
    """The arms of a study file, with the names that the sweep gives them: every arm with every value of `vary`."""
    vary = content.get("vary") or {}
    parts = [[f"{name.rsplit('.', 1)[-1]}={_as_text(value)}" for value in values] for name, values in vary.items()]
    arms = [[arm] for arm in content.get("arms") or content.get("recipes") or ()] or ([[]] if vary else [])
    return [",".join([*arm, *point]) for arm in arms for point in itertools.product(*parts)]


def _as_text(value: Any) -> str:
    return "-".join(map(_as_text, value)) if isinstance(value, list) else str(value)


def _labels(labels: Any, arms: Collection[str], suggested: Sequence[str]) -> dict[str, str]:
    if not isinstance(labels, dict):
        raise ValueError(f"labels: expected a mapping from arms to labels, found {labels!r}")
    parts = {part for arm in arms for part in arm.split(",")}
    unknown = next((str(arm) for arm in labels if str(arm) not in arms and str(arm) not in parts), None)
    if arms and unknown is not None:
        raise ValueError(f"labels: no arm '{unknown}'{nearest(unknown, suggested)}")
    return {str(arm): one_line(words) for arm, words in labels.items()}


def _one_line(text: Any) -> str:
    return one_line(text or "")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add options for the folder of study files and for the studies to use, among all that have results."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--studies", nargs="+", help="names of studies (default: all that have results)")
    choice.add_argument("--params", type=Path, help="file such as params.yaml; use the studies of its set")
    parser.add_argument(
        "--study-files",
        type=Path,
        default=Path("experiments/studies"),
        help="folder of the study files (default: %(default)s)",
    )


def chosen_studies(options: argparse.Namespace) -> list[str] | None:
    """The studies given on the command line, by name or as the set of a params file; None for all.

    `set: shapes` in the params file refers to `sets/shapes.yaml`, beside the folder of the study files.

    Raises:
        ValueError: if a file cannot be read, the params have no `set`, or the set has no list of `studies`.
    """
    if options.params is None:
        return options.studies
    name = read_yaml(options.params).get("set")
    if not isinstance(name, str):
        raise ValueError(f"{options.params}: set: expected the name of a set, found {name!r}")
    path = options.study_files.with_name(SETS) / f"{name}.yaml"
    if not path.exists():
        known = [file.stem for file in sorted(path.parent.glob("*.yaml"))]
        raise ValueError(f"{options.params}: set '{name}': no file {path}{nearest(name, known)}")
    studies = read_yaml(path).get("studies")
    if not isinstance(studies, list):
        raise ValueError(f"{path}: studies: expected a list of names, found {studies!r}")
    return [str(study) for study in studies]
