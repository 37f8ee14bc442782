"""Search files: a space of settings, and how many trials look for the best point in it. Does not import torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from core.config import Count, Frozen
from core.config.study_file import MOST_ARMS
from core.record import METRICS
from experiments.params import Seed

Limits = tuple[float, float]


class Distribution(Frozen):
    """How a setting is drawn; exactly one of these. Numbers are rounded to six digits."""

    uniform: Limits | None = None  # low, high
    loguniform: Limits | None = None  # low, high; above 0
    choice: Annotated[list[Any], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "Distribution":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{' and '.join(given) or 'nothing'} given, expected one of uniform, loguniform, choice")
        limits = self.uniform or self.loguniform
        if limits is not None and not limits[0] < limits[1]:
            raise ValueError(f"{given[0]}: {limits[0]:g} to {limits[1]:g}, expected the lower limit first")
        if self.loguniform is not None and not self.loguniform[0] > 0:
            raise ValueError(f"loguniform: {self.loguniform[0]:g}, expected limits above 0")
        return self


class Halving(Frozen):
    """Asynchronous successive halving (ASHA, arXiv:1810.05934): poor trials are stopped early.

    After `first_epoch`, and after each multiple of that by a power of `reduction_factor`, a trial goes on if it is
    among the best `1 / reduction_factor` of those that came so far.
    """

    first_epoch: Count = 1
    reduction_factor: Annotated[float, Field(gt=1)] = 3.0


class Search(Frozen):
    trials: Annotated[int, Field(ge=1, le=MOST_ARMS)]  # trainings that are started: the budget
    space: Annotated[dict[str, Distribution], Field(min_length=1)]  # by dotted name of a setting
    metric: Literal[METRICS] = "mask_AP"  # on the validation set; the highest wins
    seed: Seed = 0  # of what is drawn, not of the trainings
    halving: Halving | None = None  # None: every trial is trained to its end


class SearchFile(Frozen):
    question: str
    settings: dict[str, Any] = Field(default_factory=dict)  # changes to the recipe that all trials share
    search: Search
