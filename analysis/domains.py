"""The domains that studies ran on: every reference with studies, and the results that ran last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.edge_counts import KEY, read_edge_purity
from analysis.reference.trials import REFERENCES
from analysis.results import is_study, recipe_of, study_names
from analysis.study import SETS
from analysis.study_data import DEFAULT_NEIGHBORHOOD, StudyData, read_study_data
from core.config.file import read_yaml

DOMAIN_ORDER = ("scenes", "people", "nuclei", "shapes")  # photo-like first; others follow by name
NOT_RUN = "not run"


@dataclass(frozen=True)
class Domain:
    """`name` is that of the recipe; `here`: the results that ran last, not a reference."""

    name: str
    folder: Path
    here: bool
    studies: Mapping[str, StudyData]
    edge_purity: pd.DataFrame | None = None

    @property
    def title(self) -> str:
        return f"{self.name}, this run" if self.here else self.name

    def why_absent(self, study: str, study_files: Path) -> str:
        """Why the domain has no result of a study, in a few words."""
        sets = {path.stem: read_yaml(path) for path in sorted(study_files.with_name(SETS).glob("*.yaml"))}
        lists = {name: found.get("studies") for name, found in sets.items() if found.get("recipe") == self.name}
        if lists and all(isinstance(listed, list) and study not in listed for listed in lists.values()):
            return f"not part of the set {' or '.join(lists)}"
        return f"no trials in {self.folder}"


def read_domains(
    results: Path, studies: Mapping[str, StudyData], study_files: Path, references: Path | None = REFERENCES
) -> list[Domain]:
    """All domains in their order, this run first; `studies` are those of `results`, which may be a reference itself.

    Raises:
        ValueError: if a file of a reference is malformed.
    """
    folders = [] if references is None else sorted(references.glob("[!.]*/"))
    own = next((folder for folder in folders if folder.resolve() == results.resolve()), None)
    domains = [
        Domain(folder.name, folder, False, _studies_of(folder, study_files), _edge_purity(folder))
        for folder in folders
        if folder != own and any(is_study(path) for path in folder.glob("*.csv"))
    ]
    if studies:
        records = [record for data in studies.values() for record in data.records.values()]
        name = (own.name if own else recipe_of(records)) or "unknown recipe"
        here = own is None and references is not None
        domains.append(Domain(name, own or results, here, studies, _edge_purity(results)))
    places = {name: place for place, name in enumerate(DOMAIN_ORDER)}
    return sorted(domains, key=lambda domain: (not domain.here, places.get(domain.name, len(places)), domain.name))


def measured_edges(domains: Sequence[Domain], references: Path | None = REFERENCES) -> dict[str, pd.DataFrame]:
    """The edge purity of each domain by its title, then of the references without studies; none is there twice."""
    measured = {domain.title: domain.edge_purity for domain in domains}
    if references is not None:
        measured |= {
            path.name: _edge_purity(path) for path in sorted(references.glob("[!.]*/")) if path.name not in measured
        }
    kept: dict[str, pd.DataFrame] = {}
    for title, frame in measured.items():
        if frame is None or DEFAULT_NEIGHBORHOOD not in set(zip(*(frame[name] for name in KEY[:2]), strict=True)):
            continue
        if not any(frame.equals(other) for other in kept.values()):
            kept[title] = frame
    return kept


def _studies_of(folder: Path, study_files: Path) -> dict[str, StudyData]:
    return {name: read_study_data(study_files / f"{name}.yaml", folder) for name in study_names(folder)}


def _edge_purity(folder: Path) -> pd.DataFrame | None:
    path = folder / "edge_purity.csv"
    return read_edge_purity(path) if path.exists() else None
