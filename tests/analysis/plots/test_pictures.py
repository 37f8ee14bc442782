from textwrap import fill

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imsave

from analysis.plots.figures import styled
from analysis.plots.pictures import LABEL, contrasting_images, picture_columns, pictures_figure, shared_images
from analysis.plots.saving import save
from analysis.published import read_published
from analysis.results import read_results
from analysis.tables.study_table import arm_table

APS = {"box_mask": [12.0], "projection": [None], "pairwise": [1.0], "both": [None, 50.0], "full": [60.0]}


@pytest.fixture
def drawn(tmp_path):
    def draw(folder, names, size=(8, 12)):
        (tmp_path / "pictures" / folder).mkdir(parents=True)
        for name in names:
            imsave(tmp_path / "pictures" / folder / f"{name}.png", np.zeros((*size, 3)))

    return draw


def test_columns_are_ground_truth_and_each_arm_s_first_finished_seed(tmp_path, drawn, write_results, study):
    results = read_results(write_results(tmp_path, APS))
    for folder in ("ground_truth", "projection-seed0", "both-seed0", "both-seed1", "full-seed0"):
        drawn(folder, ["a", "b", "c"] if folder != "full-seed0" else ["b", "c"])
    table = arm_table(results, study, read_published())
    columns = picture_columns(tmp_path / "pictures", table, results, study)
    assert list(columns) == ["ground truth", "projection + pairwise\nAP 50.0", "full masks\nAP 60.0"]
    assert columns["projection + pairwise\nAP 50.0"].name == "both-seed1"
    assert shared_images(columns, 5) == ["b.png", "c.png"]
    assert shared_images(columns, 1) == ["b.png"]


def test_the_grid_keeps_the_shape_of_its_images(tmp_path, drawn):
    drawn("one", ["a"], size=(10, 30))
    drawn("two", ["a"], size=(10, 30))
    columns = {"one": tmp_path / "pictures" / "one", "two": tmp_path / "pictures" / "two"}
    with styled():
        figure = pictures_figure(columns, ["a.png"])
        first = save(figure, tmp_path / "grid", ("png",))[0].read_bytes()
        again = save(pictures_figure(columns, ["a.png"]), tmp_path / "again", ("png",))[0].read_bytes()
    assert first == again
    assert [axis.get_title() for axis in figure.axes] == ["one", "two"]


def test_no_text_is_wider_than_the_grid_of_two_columns(tmp_path, drawn):
    drawn("one", ["a"])
    drawn("two", ["a"])
    titles = ["Dice on true masks", fill("projection + pairwise from true masks (Eq. 5)", LABEL)]
    columns = dict(zip(titles, (tmp_path / "pictures" / name for name in ("one", "two")), strict=True))
    with styled():
        figure = pictures_figure(columns, ["a.png"], which="6 of 8 images, from those where one and another " * 3)
        FigureCanvasAgg(figure).draw()
        first, second = (axis.title.get_window_extent() for axis in figure.axes)
        caption = figure._supxlabel.get_window_extent()
    assert not first.overlaps(second)
    assert all(0 <= extent.x0 <= extent.x1 <= figure.bbox.width for extent in (first, second, caption))


def test_nothing_drawn_means_no_images(tmp_path):
    assert shared_images({}, 5) == []


def test_images_run_from_where_the_weakest_arm_does_as_well_to_where_it_fails_most(
    tmp_path, drawn, write_results, study
):
    results = read_results(write_results(tmp_path, APS))
    for arm in ("pairwise", "both", "full"):
        drawn(f"{arm}-seed0", ["a", "b", "c", "d"])
    for name, brightness in (("a", 1.0), ("b", 0.0), ("c", 0.5), ("d", 0.25)):
        imsave(tmp_path / "pictures" / "pairwise-seed0" / f"{name}.png", np.full((8, 12, 3), brightness))
    table = arm_table(results, study, read_published())
    columns = picture_columns(tmp_path / "pictures", table, results, study)
    images, sentence = contrasting_images(columns, table, study, 4)
    assert images == ["b.png", "d.png", "c.png", "a.png"]
    assert contrasting_images(columns, table, study, 3)[0] == ["b.png", "d.png", "a.png"]
    assert "where pairwise only and full masks look most alike" in sentence
    assert contrasting_images({}, table, study, 3) == ([], "")
