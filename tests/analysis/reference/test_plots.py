import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imsave
from PIL import Image

from analysis.publish import main as publish
from analysis.reference.checksums import write_checksums
from analysis.reference.plots import DRAWN_WITH
from analysis.report import main as report

APS = {"projection": [30.0, 31.0], "full": [60.0, 61.0]}
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with one published recipe, to be copied."""
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def reference(published, tmp_path, monkeypatch, study, write_traced):
    """reference/shapes as published with its plots and a grid of pictures from made-up results."""
    monkeypatch.chdir(tmp_path)
    write_traced(tmp_path / "results", APS)
    if not (published / "shapes").exists():
        for arm in APS:
            (tmp_path / f"results/loss_terms/pictures/{arm}-seed0").mkdir(parents=True)
            imsave(tmp_path / f"results/loss_terms/pictures/{arm}-seed0/1.png", np.zeros((8, 8, 3)))
        assert publish(["results", str(published / "shapes"), "--study-files", "studies", "--pictures"]) == 0
    shutil.copytree(published / "shapes", tmp_path / "reference/shapes")
    return tmp_path / "reference/shapes"


def verify(capsys, reference):
    """Exit code and printed lines, with checksums that fit whatever lies there."""
    write_checksums(reference)
    capsys.readouterr()
    code = report(["--verify", "--study-files", "studies"])
    return code, capsys.readouterr().out


def test_every_plot_is_what_the_records_give(reference, capsys):
    code, said = verify(capsys, reference)
    assert code == 0, said
    assert "6 plots rebuilt from them: all equal" in said
    assert "not verified" not in said


def test_a_plot_that_the_records_do_not_give_is_named(reference, capsys):
    plots = reference / "plots"
    svg = (plots / "loss_terms.svg").read_text()
    (plots / "loss_terms.svg").write_text(svg.replace("0.8", "0.9", 1))
    with Image.open(plots / "loss_terms_sizes.png") as image:
        pixels = np.asarray(image).copy()
    pixels[5, 5, 0] ^= 1
    Image.fromarray(pixels).save(plots / "loss_terms_sizes.png")
    (plots / "loss_terms_curves.png").unlink()
    shutil.copy(plots / "loss_terms.svg", plots / "warmup.svg")
    code, said = verify(capsys, reference)
    assert code == 1
    assert "plots/loss_terms.svg: not the plot that the records give: it differs from line" in said
    assert "plots/loss_terms_sizes.png: not the plot that the records give: 1 pixels differ" in said
    assert "plots/loss_terms_curves.png: missing; the records give it" in said
    assert "plots/warmup.svg: not given by the records" in said
    assert "4 DIFFERENCES" in said


def test_plots_that_other_versions_drew_are_not_compared_and_that_is_said(reference, capsys):
    svg = reference / "plots/loss_terms.svg"
    svg.write_text(svg.read_text().replace("0.8", "0.9", 1))
    (reference / "plots" / DRAWN_WITH).write_text(json.dumps({"matplotlib": "1.0.0", "freetype": "2.6.1"}))
    code, said = verify(capsys, reference)
    assert code == 0
    assert "not verified: reference/shapes/plots: drawn with matplotlib 1.0.0, freetype 2.6.1, here is" in said
    assert "0 plots rebuilt" in said


def test_a_grid_of_pictures_names_its_trials(reference, capsys, tmp_path):
    grid = reference / "plots/loss_terms_pictures.png"
    with Image.open(grid) as image:
        named = image.info["Trials"].split()
    keys = {path.stem for path in (reference / "loss_terms/trials").glob("*.json")}
    assert len(named) == 2
    assert keys.issuperset(named)
    record = reference / f"loss_terms/trials/{named[0]}.json"
    record.unlink()
    code, said = verify(capsys, reference)
    assert code == 1
    assert (
        f"loss_terms_pictures.png: shows trials that are not in reference/shapes/loss_terms/trials: {named[0]}" in said
    )
    Image.new("RGB", (8, 8)).save(grid)
    assert "not verified: reference/shapes/plots/loss_terms_pictures.png: does not name" in verify(capsys, reference)[1]


def test_publishing_draws_every_plot_anew_and_drops_a_grid_of_trials_that_are_gone(reference, tmp_path, write_traced):
    (reference / "plots/loss_terms.png").write_bytes(b"old")
    shutil.copy(reference / "plots/loss_terms.svg", reference / "plots/warmup.svg")
    shutil.rmtree(tmp_path / "results")
    (tmp_path / "results").mkdir()
    write_traced(tmp_path / "results", {"full": [60.0, 61.0]})  # the grid shows trials of two arms
    assert publish(["results", "reference/shapes", "--study-files", "studies"]) == 0
    names = {path.name for path in (reference / "plots").iterdir()}
    assert "loss_terms.png" in names
    assert not {"warmup.svg", "loss_terms_pictures.png"} & names


@pytest.mark.slow
@pytest.mark.parametrize("name", ["objects", "people", "shapes"])
def test_the_records_of_this_project_give_its_plots(name, capsys):
    folder, study_files = ROOT / "reference" / name, ROOT / "experiments/studies"
    code = report(["--verify", "--reference", str(folder), "--study-files", str(study_files)])
    assert code == 0, capsys.readouterr().out
