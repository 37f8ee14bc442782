"""What a data set holds, in lines."""

from core.datasets.annotation_file import AnnotationFile
from core.datasets.summary import summary
from tests.core.datasets.conftest import RECTANGLE, annotation


def read(root):
    return AnnotationFile.read(root / "instances_train.json", root / "train")


def test_the_summary_counts_what_a_split_holds(write):
    root = write(
        [
            annotation(1, segmentation=RECTANGLE),
            annotation(2, category_id=9),
            annotation(3, iscrowd=1),
            annotation(4, bbox=[1, 1, 0, 4]),
        ],
        image_ids=(7, 8),
    )
    lines = summary(read(root), "ignore")
    assert "  images      2, width 40 px, height 24 px" in lines
    assert "  empty       1 images without an instance" in lines
    assert "  instances   2: 1 with a mask, 1 box only" in lines
    assert "  crowds      1, in training ignored, neither object nor background" in lines
    assert "  left out    1 boxes of width or height 0" in lines
    assert "  clipped     0 boxes that extend past their image (if many: boxes must be x, y, width, height)" in lines
    assert "  box sides   2 under 32 px, 0 under 96 px, 0 larger" in lines
    assert lines[-2:] == ["    0: 3 dog (1)", "    1: 9 cat (1)"]


def test_a_summary_of_nothing_is_no_error(write):
    assert "  images      0, width 0 px, height 0 px" in summary(read(write([], image_ids=())), "ignore")
