import pandas as pd
import pytest

from analysis.page.provenance import arm_origins, versions
from analysis.reference.rebuild import read_trials
from analysis.results import read_results
from analysis.study import load_study
from tests.analysis.made_up import record_of


@pytest.fixture
def origins(tmp_path, write_traced):
    """Origins of two arms and the records they are made from."""
    results = read_results(write_traced(tmp_path, {"projection": [30.0, 31.0], "full": [None]}))
    study = load_study(tmp_path / "loss_terms.yaml", results["arm"].tolist())
    records = {path.stem: record for path, record in read_trials(tmp_path / "loss_terms").items()}
    return arm_origins(results, study, records), records, results, study


def test_settings_that_differ_between_arms_come_apart_from_all_settings(origins):
    arms = origins[0]
    assert [arm.differing for arm in arms] == [{"loss.projection": "0.0"}, {"loss.projection": "1.0"}]
    assert "pairwise: 1.0" in arms[0].config
    assert not arms[0].configs_differ


def test_a_trial_names_its_number_key_run_and_revision(origins):
    trial = origins[0][0].trials[1]
    assert (trial.seed, trial.mask_ap, trial.reason) == (1, "31.0000", "")
    assert trial.record_path == f"loss_terms/trials/{trial.key}.json"
    assert trial.mlflow_run == "0123456789abcdef0123456789abcdef"
    assert trial.git_revision == "b9135fae1b+"  # dirty
    assert trial.seconds == "13"


def test_a_failed_trial_keeps_its_reason_and_its_settings(origins):
    arm = origins[0][1]
    assert (arm.trials[0].mask_ap, arm.trials[0].reason) == ("", "MemoryError: <no> memory")
    assert arm.config


def test_without_records_the_keys_remain(origins):
    _, _, results, study = origins
    arms = arm_origins(results, study, {})
    assert arms[0].trials[0].key == results["trial_key"][0]
    assert arms[0].trials[0].record_path == ""
    assert arms[0].trials[0].device == "not recorded"
    assert arms[0].config == ""


def test_trials_of_one_arm_with_several_configs_are_told(origins):
    _, records, results, study = origins
    keys = results.loc[results["arm"] == "projection", "trial_key"].tolist()
    records[keys[1]].config["training"]["epochs"] = 2
    assert arm_origins(results, study, records)[0].configs_differ


def test_each_set_of_versions_is_named_once():
    records = {
        "a": record_of({}, versions={"torch": "2", "numpy": "1"}),
        "b": record_of({}, versions={"torch": "2", "numpy": "1"}),
        "c": record_of({}),
    }
    assert versions(records) == ["numpy 1, torch 2"]
    assert versions({}) == []
    assert arm_origins(pd.DataFrame({"arm": []}), load_study("x.yaml", []), {}) == ()
