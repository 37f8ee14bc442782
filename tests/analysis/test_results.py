import pandas as pd
import pytest

from analysis.results import (
    finished,
    has_trials,
    holes,
    is_study,
    read_records,
    read_results,
    recipe_of,
    study_names,
)
from core.record import Record
from tests.analysis.made_up import record_of


def test_holes_keep_their_reason(tmp_path, write_results):
    results = read_results(write_results(tmp_path, {"both": [50.0, None], "full": [60.0, 61.0]}))
    assert holes(results)[["arm", "seed", "reason"]].to_numpy().tolist() == [["both", 1, "ran out of memory"]]
    assert len(finished(results)) == 3


def test_missing_columns_are_named_with_the_file(tmp_path, write_results):
    path = write_results(tmp_path, {"both": [50.0]})
    pd.read_csv(path).drop(columns=["box_AP", "reason"]).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"loss_terms\.csv: columns missing: box_AP, reason"):
        read_results(path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("mask_AP", "fifty", r"column mask_AP, row 3: 'fifty' is not a number"),
        ("mask_AP50", 0.5e3, r"column mask_AP50, row 3: 500.0 is outside 0..100"),
        ("seed", 0, r"more than one row for arm 'both', seed 0"),
        ("study", "warmup", r"column study: rows of \['warmup'\], expected only 'loss_terms'"),
        ("mask_AP", "", r"arm 'both', seed 1: no mask_AP and no reason"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path, write_results, column, value, message):
    path = write_results(tmp_path, {"both": [50.0, 51.0]})
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.loc[1, column] = str(value)
    rows.to_csv(path, index=False)
    with pytest.raises(ValueError, match=message):
        read_results(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"warmup\.csv: no such file"):
        read_results(tmp_path / "warmup.csv")


def test_an_arm_called_none_stays_text(tmp_path, write_results):
    assert read_results(write_results(tmp_path, {"None": [50.0]}))["arm"].tolist() == ["None"]


def test_records_are_found_by_the_keys_of_finished_trials(tmp_path, write_results, write_records):
    results = read_results(write_results(tmp_path, {"both": [50.0, None]}))
    assert read_records(results, tmp_path / "loss_terms" / "trials") == {}
    write_records(tmp_path)
    records = read_records(results, tmp_path / "loss_terms" / "trials")
    assert list(records) == ["both0"]
    assert recipe_of(records.values()) == "shapes"
    (tmp_path / "loss_terms" / "trials" / "both0.json").unlink()
    with pytest.raises(ValueError, match=r"both0\.json: cannot be read"):
        read_records(results, tmp_path / "loss_terms" / "trials")


def test_a_failed_trial_s_record_is_read_where_it_left_one(tmp_path, write_study):
    aps = {"dice": [50.0, None], "redesigned": [51.0, None]}
    write_study(tmp_path, "redesigned_loss", aps, failed_records=True)
    results = read_results(tmp_path / "redesigned_loss.csv")
    (tmp_path / "redesigned_loss/trials/dice1.json").unlink()
    assert set(read_records(results, tmp_path / "redesigned_loss/trials")) == {"dice0", "redesigned0", "redesigned1"}


def recipe(name: str, root: str | None = None) -> Record:
    return record_of({"name": name} | ({"data": {"root": root}} if root else {}))


def test_arms_that_are_recipes_share_the_name_of_their_data():
    assert recipe_of([recipe("coco_r50_1x", "datasets/coco"), recipe("coco_r101_3x", "datasets/coco")]) == "coco"
    assert recipe_of([recipe("coco_r50_1x", "datasets/coco")]) == "coco_r50_1x"
    assert recipe_of([]) is None


@pytest.mark.parametrize("roots", [(None, None), ("data/shapes", "datasets/people")])
def test_trials_of_two_recipes_on_different_data_are_refused(roots):
    with pytest.raises(ValueError, match="people, shapes, with different data folders"):
        recipe_of([recipe("shapes", roots[0]), recipe("people", roots[1])])


def test_a_csv_of_trials_is_a_study_and_has_results_where_it_has_a_row(tmp_path):
    (tmp_path / "a.csv").write_text("study,arm,seed,trial_key\n")
    (tmp_path / "b.csv").write_text("color_threshold,purity\n")
    (tmp_path / "c.csv").write_text("")
    assert [is_study(tmp_path / name) for name in ("a.csv", "b.csv", "c.csv")] == [True, False, False]
    (tmp_path / "d.csv").write_text("trial_key\nk\n")
    (tmp_path / "e.csv").write_text("trial_key\nk\n")
    assert [has_trials(tmp_path / name) for name in ("a.csv", "d.csv")] == [False, True]
    assert study_names(tmp_path) == ["d", "e"]  # `a` is not part of the set that was run
    assert study_names(tmp_path, ["d", "b", "a"]) == ["d"]
