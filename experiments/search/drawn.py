"""The trials of a search: points drawn from the space of a search file, each over the settings of the params."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config.dotted import leaves, nested
from core.config.file import build_config, merge, nearest, read_yaml, validated
from core.config.names import checked_study
from experiments.params import Params
from experiments.search.file import Search, SearchFile
from experiments.settings import base_settings
from experiments.study import STUDIES, Study, Trial, value_of

SEARCHES = Path(__file__).parents[1] / "searches"


@dataclass(frozen=True)
class SearchStudy:
    """A search, and its trials as a study with an arm for each."""

    search: Search
    study: Study
    recipe: str  # on which the trials are based
    choose_on: tuple[str, ...] = ()  # dotted names of settings that are those of the search, and not of its winner

    @property
    def images(self) -> str:
        """The annotation file that the trials are judged by."""
        return Path(self.study.trials[0].config.data.val_annotations).name


def load_search(name: str, params: Params, source: str, folder: Path = SEARCHES) -> SearchStudy:
    """Draw the trials of the search file `name` over the settings of the params; `source` names these in errors.

    They are judged on the images that the set names under `choose_on`, otherwise on those that its studies report.

    Raises:
        ValueError: for a name that cannot be one, a missing file, an unknown key or field (suggests the nearest one), a
            value out of range, or early stopping without evaluations to judge by.
    """
    from experiments.parallel.tuning import draw  # loads Ray, which takes seconds

    path = folder / f"{checked_study(name)}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ValueError(f"search '{name}': no file {path}{nearest(name, known)}")
    if (STUDIES / path.name).exists():
        raise ValueError(f"{path}: there is a study of this name, whose results would be in the same place")
    file = validated(SearchFile, read_yaml(path), str(path))
    search = file.search
    _check_fields(file, path)
    base = merge(base_settings(params, source, for_search=True), nested(file.settings))
    trials = []
    for number, point in enumerate(draw(search.space, search.trials, search.seed)):
        arm = f"trial-{number:03}"
        config = build_config(merge(base, nested(point)), f"{path}: {arm}: {_as_text(point)}")
        if search.halving is not None and config.training.evaluate_every is None:
            raise ValueError(
                f"{path}: halving stops trials by their evaluations, but training.evaluate_every is null: only the "
                "last epoch has one; set it under settings"
            )
        values = {field: value_of(config, field) for field in point}
        trials.append(Trial(name, arm, params.seeds[0], config, values))
    study = Study(
        name,
        file.question,
        source="none",
        expectation="none",
        reference_arm=None,
        arms=tuple(trial.arm for trial in trials),
        varied=tuple(search.space),
        seeds=params.seeds[:1],
        trials=tuple(trials),
    )
    return SearchStudy(search, study, params.recipe, tuple(leaves(nested(params.choose_on))))


def _check_fields(file: SearchFile, path: Path) -> None:
    """Refuse the path of the data, and a setting that is both fixed and drawn."""
    fixed = leaves(nested(file.settings))
    for field in ("data.root", *file.search.space):
        drawn, given = field in file.search.space, field in fixed
        if field == "data.root" and (drawn or given):
            raise ValueError(f"{path}: a search cannot set data.root: the data of a set is in datasets/<set>")
        if drawn and given:
            raise ValueError(f"{path}: {field} is under settings and in the space, expected one of them")


def _as_text(point: dict[str, Any]) -> str:
    return ", ".join(f"{field}={value}" for field, value in point.items())
