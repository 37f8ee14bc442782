"""A study file as plain data: question, arms, labels, expected orders and view."""

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.plain_text import one_line
from core.config.expectation import read_expectation
from core.config.file import nearest, read_yaml, validated
from core.config.names import NAME
from core.config.study_file import StudyText, arm_label
from core.files.shown import shown

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
        return arm_label(self.labels, arm)


def load_study(path: str | Path, arms_with_results: Sequence[str]) -> Study:
    """Read a study file; if it does not exist, the study has only the arms of its results.

    `arms_with_results` are the arms to show: in the order of the file, then those that it does not name.
    `reference_arm` is None if that arm has no results.

    Raises:
        ValueError: if the file is not a YAML mapping, or its labels or expectation name an unknown arm; names the file,
            the unknown name and the nearest arm.
    """
    path = Path(path)
    text = validated(StudyText, read_yaml(path) if path.exists() else {}, str(path))
    named = [name for name, _, _ in text.points()]
    shown = [arm for arm in named if arm in arms_with_results]
    shown += [arm for arm in dict.fromkeys(arms_with_results) if arm not in named]
    known = dict.fromkeys([*named, *shown])
    # Names built from `vary` may be misspelled themselves: suggest only those that have results.
    suggested = [*(text.arms or text.recipes), *shown]
    expectation = one_line(text.expectation)
    try:
        orders, has_words = read_expectation(expectation, known, suggested)
        _check_labels(text.labels, known, suggested)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return Study(
        file=path,
        question=one_line(text.question),
        source=one_line(text.source),
        expectation=expectation,
        arms=tuple(shown),
        reference_arm=text.reference_arm if text.reference_arm in shown else None,
        expected_orders=orders,
        has_words=has_words,
        labels={arm: one_line(words) for arm, words in text.labels.items()},
        view=text.view,
        x=text.x,
    )


def _check_labels(labels: Mapping[str, str], arms: Collection[str], suggested: Sequence[str]) -> None:
    parts = {part for arm in arms for part in arm.split(",")}
    unknown = next((arm for arm in labels if arm not in arms and arm not in parts), None)
    if arms and unknown is not None:
        raise ValueError(f"labels: no arm {shown(unknown)}{nearest(unknown, suggested)}")


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
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{options.params}: set: expected the name of a set, found {shown(name)}")
    path = options.study_files.with_name(SETS) / f"{name}.yaml"
    if not path.exists():
        known = [file.stem for file in sorted(path.parent.glob("*.yaml"))]
        raise ValueError(f"{options.params}: set '{name}': no file {path}{nearest(name, known)}")
    studies = read_yaml(path).get("studies")
    if not isinstance(studies, list):
        raise ValueError(f"{path}: studies: expected a list of names, found {shown(studies)}")
    for study in studies:
        if not isinstance(study, str) or not NAME.fullmatch(study):
            raise ValueError(f"{path}: studies: expected the name of a study, found {shown(study)}")
    return studies
