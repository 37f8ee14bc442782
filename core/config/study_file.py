"""Study files: the words that describe a study, and the arms it compares. Does not import torch."""

import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.config.dotted import nested
from core.config.file import merge
from core.config.names import Name
from core.config.values import Frozen
from core.files.shown import shown

MOST_ARMS = 500  # of a study; a grid grows fast


class StudyText(BaseModel):
    """What readers need of a study file, or of a measurement's; other keys are ignored, and each may be missing."""

    model_config = ConfigDict(frozen=True)

    question: str = ""
    source: str = ""  # table or section of the paper; `none` if there is none
    expectation: str = ""  # the report checks an order such as `projection < both`
    reference_arm: str | None = None  # the others are compared with this arm
    view: str | None = None  # columns, figure and verdict of its own; none has bars
    x: str | None = None  # dotted name of the varied field that the view's figure is drawn against
    labels: dict[str, str] = Field(default_factory=dict)  # arm, or a part of its name between commas: words for readers
    # arm: its changes to the recipe, dotted or nested
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict)
    # dotted field name: values; several fields form a grid
    vary: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    recipes: dict[str, Name] = Field(default_factory=dict)  # arm: a recipe that replaces the set's

    @model_validator(mode="after")
    def _few_arms(self) -> "StudyText":
        count = max(len(self.arms) or len(self.recipes), 1) * math.prod(map(len, self.vary.values()))
        if count > MOST_ARMS:
            raise ValueError(f"{count} arms, expected at most {MOST_ARMS}")
        return self

    def points(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Every arm with every value of `vary`: its name, its own changes, and its values by field.

        An arm of a grid is named `color_threshold=0.1`, parts joined by commas. Without arms and values, empty.
        """
        arms = self.arms or {arm: {} for arm in self.recipes} or ({"": {}} if self.vary else {})
        points = []
        for (arm, change), values in itertools.product(arms.items(), itertools.product(*self.vary.values())):
            point = dict(zip(self.vary, values, strict=True))
            parts = [f"{field.rsplit('.', 1)[-1]}={_as_text(value)}" for field, value in point.items()]
            points.append((",".join([arm, *parts] if arm else parts), change, point))
        return points


class StudyFile(StudyText, Frozen):
    """A study file that is run: it has a question, and nothing unknown. `recipes` excludes `arms` and `vary`."""

    question: str
    source: str
    expectation: str
    settings: dict[str, Any] = Field(default_factory=dict)  # changes to the recipe that all arms share
    # arms left out, with a row that says why, where the data folder lacks the file of masks that they name
    optional: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _something_varies(self) -> "StudyFile":
        if not self.arms and not self.vary and not self.recipes:
            raise ValueError("nothing to compare: expected arms, vary or recipes")
        if self.recipes and (self.arms or self.vary):
            raise ValueError("recipes are whole arms: expected no arms or vary beside them")
        return self


def expand(file: StudyFile) -> dict[str, dict[str, Any]]:
    """Nested changes to the shared settings, by arm.

    Raises:
        ValueError: if a value is listed twice.
    """
    expanded: dict[str, dict[str, Any]] = {}
    for name, change, point in file.points():
        if name in expanded:
            raise ValueError(f"vary gives {shown(name)} twice")
        expanded[name] = merge(nested(change), nested(point))
    return expanded


def _as_text(value: Any) -> str:
    parts = list(value.values()) if isinstance(value, dict) else value
    return "-".join(map(_as_text, parts)) if isinstance(parts, list) else str(value)


def arm_label(labels: Mapping[str, str], arm: str) -> str:
    """Name of an arm for readers: its label, or the labels of its parts, or its name with spaces.

    An arm of a grid is named after its values, such as `color_threshold=0.1`; commas separate them.
    """
    return labels.get(arm) or ", ".join(labels.get(part) or _with_spaces(part) for part in arm.split(","))


def _with_spaces(part: str) -> str:
    name, equals, value = part.partition("=")
    words = name.replace("_", " ")
    return f"{words} = {value}" if equals else words
