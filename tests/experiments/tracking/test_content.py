"""What MLflow shows, before it is sent."""

from pathlib import Path

import pytest

from experiments.jobs import list_jobs
from experiments.provenance import Provenance
from experiments.study import Study
from experiments.tracking.content import (
    as_table,
    class_rows,
    describe_study,
    epoch_metrics,
    final_metrics,
    parameters,
    tags_at_end,
)
from experiments.trial import describe_trial


def test_the_pairwise_share_is_that_of_the_mask_loss() -> None:
    numbers = {
        "epoch": 1,
        "loss/class": 5.0,
        "loss/projection": 0.3,
        "loss/pairwise": 0.1,
        "loss/pairwise_unweighted": 9,
    }
    shown = epoch_metrics(numbers)
    assert shown.pop("pairwise_share") == pytest.approx(0.25)  # 0.1 / (0.3 + 0.1)
    assert shown == numbers
    redesigned = {"loss/mask_projection": 1.0, "loss/mask_pairwise": 3.0, "loss/total": 7.0}
    assert epoch_metrics(redesigned)["pairwise_share"] == pytest.approx(0.75)
    assert epoch_metrics({"loss/pairwise": 2.0})["pairwise_share"] == 1.0


def test_a_mask_loss_without_a_pairwise_term_has_no_share() -> None:
    for numbers in ({"loss/dice": 0.5}, {"loss/projection": 0.0, "loss/pairwise": 0.0}, {"loss/class": 1.0}):
        assert epoch_metrics(numbers) == numbers


def test_final_numbers_have_names_that_mlflow_takes(study: Study, made_from: Provenance) -> None:
    record = describe_trial(study.trials[0], key="k", data_digest="d", provenance=made_from)
    record = record.changed(metrics={"mask_AP": 1.5}, per_class={"cup/mug (big)": 2.0}, seconds=3.0)
    assert final_metrics(record) == {
        "final/mask_AP": 1.5,
        "class/cup_mug _big_": 2.0,
        "final/seconds": 3.0,
        "final/peak_memory_mb": None,
    }
    assert as_table(class_rows(record)) == '{"columns": ["class", "mask_AP"], "data": [["cup/mug (big)", 2.0]]}'


def test_the_end_says_where_a_trial_ran_and_where_its_checkpoint_is_in_the_project(
    study: Study, made_from: Provenance
) -> None:
    record = describe_trial(study.trials[0], key="k", data_digest="d", provenance=made_from)
    tags = tags_at_end(record.changed(host="node7", process=12, rank=0), Path("/home/me/project/store/k"))
    assert (tags["host"], tags["process"], tags["rank"]) == ("node7", "12", "0")
    assert tags["checkpoint"] == "store/k/checkpoint.pt"
    assert tags_at_end(record, Path("store/k"))["rank"] == "unknown"  # a record of an earlier version


def test_the_description_says_what_is_asked_and_expected(study: Study) -> None:
    assert describe_study(study) == "q\n\nExpected: a < b\n\nSource: s\n\nCompared with: b"


def test_every_setting_is_a_parameter(study: Study, made_from: Provenance) -> None:
    job = list_jobs(study, made_from)[1]
    shown = parameters(job)
    assert (shown["loss.dice"], shown["training.batch_size"], shown["arm"], shown["seed"]) == ("2.0", "4", "b", "0")
    assert sorted(shown)[:3] == ["arm", "arm.loss.dice", "arm.seed"]  # as MLflow's Compare shows them
    assert (shown["arm.loss.dice"], shown["arm.seed"]) == ("2.0", "0")
    assert all(isinstance(value, str) for value in shown.values())
