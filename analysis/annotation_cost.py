"""The cost of annotation: seconds of work for a box and for a mask."""

from dataclasses import dataclass

SOURCES = (
    "79.2 s per mask from 22 hours for 1,000 COCO masks (Lin et al. 2014, arXiv:1405.0312), 7 s per box from extreme "
    "clicking (Papadopoulos et al. 2017, arXiv:1708.02750)"
)


@dataclass(frozen=True)
class AnnotationCost:
    """Seconds of work of one annotator; a mask includes its box."""

    seconds_per_box: float = 7.0
    seconds_per_mask: float = 79.2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} is {value}, expected more than 0")
