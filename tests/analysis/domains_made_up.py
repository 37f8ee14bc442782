"""Made-up mask AP of the loss terms on three domains, and the domains that the folders of a test are."""

from pathlib import Path

from analysis.domains import Domain, read_domains
from analysis.study_data import read_study_data

SHAPES = {  # neighbors differ by the same in every seed, but for rounding
    "box_mask": [11.0, 12.0, 13.0],
    "projection": [20.0, 21.1, 22.0],
    "both": [52.0, 53.0, 54.1],
    "full": [59.5, 60.6, 61.5],
}
PEOPLE = {"box_mask": [2.0], "projection": [10.0], "both": [19.0], "full": [23.0]}
NUCLEI = {  # the box is almost the mask: its arm is above projection
    "box_mask": [30.0, 31.0, 32.1],
    "projection": [20.0, 21.1, 22.0],
    "both": [35.0, 36.0, 37.1],
    "full": [40.0, 41.1, 42.0],
}
LOSSES = {"box_mask": (0, 0), "projection": (1, 0), "both": (1, 1), "full": (0, 0)}  # projection, pairwise


def domains_of(results: Path, *, references: Path | None = Path("reference")) -> list[Domain]:
    studies = {"loss_terms": read_study_data(Path("studies/loss_terms.yaml"), results)} if results.exists() else {}
    return read_domains(results, studies, Path("studies"), references)
