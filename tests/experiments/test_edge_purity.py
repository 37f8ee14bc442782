"""The measurement's file and command line: what is read, what is written, and how mistakes are named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.study_data import read_study_data
from core.neighborhood import Neighborhood
from experiments.edge_purity import COLUMNS, Measurement, load_measurement, main
from experiments.jobs import collect, list_jobs
from experiments.params import Resources, load_params
from experiments.provenance import Provenance
from experiments.results.write import write_results
from experiments.settings import base_settings
from experiments.store import Store
from experiments.study import STUDIES, load_study
from experiments.sweep import run_one_by_one
from tests.experiments.conftest import write_params

FILE = "question: q\nsource: s\nexpectation: e\nthresholds: [0, 0.3]\nneighborhoods: [[3, 1], [3, 2]]\n"


def measurement_of(folder: Path, text: str) -> Measurement:
    (folder / "measurement.yaml").write_text(text)
    return load_measurement(folder / "measurement.yaml")


@pytest.fixture
def run(shapes: Path, tmp_path: Path):
    """Runs the command on the validation images of `shapes`, each call into a folder of its own."""
    (tmp_path / "measurement.yaml").write_text(FILE)

    def call(name: str, *words: str) -> Path:
        own = ["--annotations", str(shapes / "instances_val.json"), "--images", str(shapes / "val")]
        view = ["--short-side", "96", "--long-side-max", "96", "--ignored-bottom-rows", "0"]
        place = ["--measurement", str(tmp_path / "measurement.yaml"), "--results", str(tmp_path / name)]
        assert main([*(words or own + view), *place]) == 0
        return tmp_path / name

    return call


def test_the_projects_own_measurement_covers_both_thresholds_in_use() -> None:
    measurement = load_measurement()
    assert {0.0, 0.1, 0.3} <= set(measurement.thresholds)
    assert Neighborhood(3, 2) in measurement.neighborhoods


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("thresholds", "thresholdz"), "unknown key 'thresholdz' .did you mean 'thresholds'"),
        (("[0, 0.3]", "[0.3, 0.3]"), "thresholds: .*rising order, none twice"),
        (("[0, 0.3]", "[0, 1.3]"), r"thresholds\.1: .*less than or equal to 1"),
        (("[[3, 1], [3, 2]]", "[[4, 1]]"), r"neighborhoods\.0: .*size is 4, expected an odd number"),
        (("[[3, 1], [3, 2]]", "[[3]]"), r"neighborhoods\.0: .*expected two whole numbers"),
        (("[[3, 1], [3, 2]]", "[[3, 1], [3, 1]]"), "neighborhoods: .*the same entry twice"),
    ],
)
def test_a_wrong_measurement_names_file_and_key(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=rf"measurement\.yaml: {message}"):
        measurement_of(tmp_path, FILE.replace(*change))


def test_the_table_has_a_row_for_each_neighborhood_and_threshold(run) -> None:
    table = pd.read_csv(run("one") / "edge_purity.csv", dtype={"data_digest": str})
    assert tuple(table.columns) == COLUMNS
    key = ["neighborhood_size", "neighborhood_dilation", "color_threshold"]
    assert table[key].to_numpy().tolist() == [[3, 1, 0], [3, 1, 0.3], [3, 2, 0], [3, 2, 0.3]]
    assert (table["pure"] + table["different_kept"] == table["kept"]).all()
    assert (table["share_kept"] - table["kept"] / table["edges"]).abs().max() < 1e-6
    assert (table["purity"] - table["pure"] / table["kept"]).abs().max() < 1e-6
    assert set(table["num_images"]) == {7}
    assert set(table["data_digest"].str.len()) == {16}


def test_equal_runs_give_equal_bytes_and_leave_nothing_partial(run) -> None:
    one, two = run("one"), run("two")
    names = sorted(path.relative_to(one).as_posix() for path in one.rglob("*") if path.is_file())
    assert names == ["edge_purity.csv", "edge_purity/consistency.npz"]
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def data_of_mine(folder: Path, shapes: Path) -> None:
    (folder / "datasets").mkdir()
    (folder / "datasets" / "mine").symlink_to(shapes)


def test_the_recipe_and_data_of_the_params_are_read(run, shapes: Path, tmp_path: Path) -> None:
    images = "data.val_images: val, data.val_annotations: instances_val.json"
    view = f"{{data.val_short_side: 96, data.long_side_max: 96, {images}}}"
    write_params(tmp_path, rest=f"settings: {view}")
    data_of_mine(tmp_path, shapes)
    by_params, own = (
        pd.read_csv(folder / "edge_purity.csv", dtype={"data_digest": str})
        for folder in (run("params", "--params", str(tmp_path / "params.yaml")), run("own"))
    )
    pd.testing.assert_frame_equal(by_params.drop(columns="data_digest"), own.drop(columns="data_digest"))
    assert set(by_params["data_digest"]).isdisjoint(own["data_digest"])  # the whole data set, and one file


def test_the_report_finds_the_purity_that_was_measured_on_the_data_of_its_trials(
    run, shapes: Path, tmp_path: Path, fake_training: list[str], made_from: Provenance
) -> None:
    params = write_params(tmp_path, recipe="tiny", studies="[color_threshold]")
    data_of_mine(tmp_path, shapes)
    results = run("results", "--params", str(params))
    study = load_study("color_threshold", base_settings(load_params(params), str(params)), (0,))
    jobs, store = list_jobs(study, made_from), Store(tmp_path / "store")
    run_one_by_one(jobs, store, Resources(), [], progress=False)
    write_results(study, jobs, collect(jobs, store), store, results)
    found = read_study_data(STUDIES / "color_threshold.yaml", results).edge_purity
    assert found["color_threshold"].tolist() == [0, 0.3]
    assert set(found["neighborhood_dilation"]) == {2}
    assert set(found["data_digest"]) == {jobs[0].data_digest}
    elsewhere = run("own")  # of the validation images alone
    (results / "edge_purity.csv").write_bytes((elsewhere / "edge_purity.csv").read_bytes())
    assert read_study_data(STUDIES / "color_threshold.yaml", results).edge_purity is None


def test_the_photos_arrays_stand_beside_the_table(run) -> None:
    with np.load(run("one") / "edge_purity" / "consistency.npz") as arrays:
        assert arrays["similarity"].shape == (8, 128, 128)
        assert arrays["image"].shape == (512, 512, 3)


def test_input_that_is_wrong_ends_in_one_line_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    missing = ["--annotations", str(tmp_path / "no.json"), "--images", str(tmp_path), "--results", str(tmp_path / "r")]
    assert main(missing) == 2
    assert "no.json: cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(missing[:2])
    assert "--annotations and --images go together" in capsys.readouterr().err
