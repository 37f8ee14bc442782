import base64
import io

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from analysis.page.figures import embed, owner


def content(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def test_a_plot_in_svg_stays_what_it_is_and_has_its_size_in_px(tmp_path):
    figure = plt.Figure(figsize=(3, 1.5))
    figure.savefig(tmp_path / "plot.svg")
    picture = embed(tmp_path / "plot.svg")
    assert picture.uri.startswith("data:image/svg+xml;base64,")
    assert content(picture.uri) == (tmp_path / "plot.svg").read_bytes()
    assert (picture.width, picture.height) == (288, 144)  # 3 inches of 96 px


def test_a_plot_in_png_is_shown_at_half_its_pixels(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "plot.png")
    picture = embed(tmp_path / "plot.png")
    assert content(picture.uri) == (tmp_path / "plot.png").read_bytes()
    assert (picture.width, picture.height) == (20, 10)


def test_a_grid_of_photos_becomes_a_jpeg_of_bounded_width(tmp_path):
    Image.new("RGBA", (3200, 800), "red").save(tmp_path / "study_pictures.png")
    picture = embed(tmp_path / "study_pictures.png")
    with Image.open(io.BytesIO(content(picture.uri))) as image:
        assert (image.format, image.size) == ("JPEG", (1600, 400))
    assert (picture.width, picture.height) == (1170, 292)  # it fills the page


@pytest.mark.parametrize("name", ["plot.png", "plot.svg"])
def test_a_broken_file_is_named(tmp_path, name):
    (tmp_path / name).write_text("<html></html>")
    with pytest.raises(ValueError, match=name):
        embed(tmp_path / name)


def test_a_plot_belongs_to_the_longest_name_that_it_starts_with():
    names = ["loss_terms", "loss_terms_wide", "edge_purity"]
    assert owner("loss_terms_sizes", names) == "loss_terms"
    assert owner("loss_terms_wide_sizes", names) == owner("loss_terms_wide", names) == "loss_terms_wide"
    assert owner("consistency", names) == "edge_purity"
    assert owner("loss_termss", names) is None
