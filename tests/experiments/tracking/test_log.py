"""A real MLflow database: a parent run per sweep, one child per trial, nothing twice after a restart."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.jobs import Job
from experiments.params import Resources
from experiments.search.stopped_early import stopped_early
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import crashed, describe_job, run_job, run_one_by_one
from experiments.tracking.log import Tracking
from tests.experiments.tracking.own_database import Server, database, killed, sent

__all__ = ["database"]  # a fixture


def test_a_sweep_that_is_killed_and_started_again_leaves_one_run_a_trial(
    study: Study, jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_training: list
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)

    def sweep() -> Tracking:
        return Tracking([(study, jobs)], store, tmp_path)

    # killed in the first trial, after its first epoch: nothing is closed
    log = sweep()
    log.started(jobs[0])
    log.epoch(jobs[0], {"epoch": 1, "epochs": 2, "seconds": 0.5, "loss/total": 1.0})
    killed(log)

    # one trial was finished without MLflow, the other one runs now
    finished = run_job(jobs[0], store, Resources(), lambda numbers: None)
    log = sweep()
    run_one_by_one(jobs[1:], store, Resources(), [log], progress=False)
    records = {jobs[0].key: finished, jobs[1].key: store.finished(jobs[1].key)}
    log.finish({"pair": records})
    run_ids = log.run_ids("pair")

    # and once more, with nothing to do
    log = sweep()
    log.finish({"pair": records})
    assert log.run_ids("pair") == run_ids

    parents, children = server.runs()
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert [(run.info.run_name, run.info.status) for run in children] == [
        ("a-seed0", "FINISHED"),
        ("b-seed0", "FINISHED"),
    ]
    for job, run in zip(jobs, children, strict=True):
        assert run.info.run_id == run_ids[job.key]
        assert server.epochs(run) == [(1, 1.0), (2, 0.5)]
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert (tags["trial_key"], tags["mlflow.source.git.commit"]) == (job.key, "abc")
        assert run.data.metrics["final/mask_AP"] == records[job.key].metrics["mask_AP"]
        assert "final/mask_APl" not in run.data.metrics  # no large object, no number
        assert run.data.metrics["class/star"] == 1.0
        assert run.data.metrics["edges_kept"] == 0.3
        assert (run.data.params["loss.dice"], run.data.params["arm"]) == (
            str(job.trial.config.loss.dice),
            job.trial.arm,
        )
        assert [(data.dataset.name, data.dataset.digest) for data in run.inputs.dataset_inputs] == [
            ("tiny", job.data_digest)
        ]
        names = [file.path for file in server.client.list_artifacts(run.info.run_id)]
        assert names == ["config.yaml", "per_class.json", "pictures", "record.json"]
        assert server.table(run, "per_class.json") == {"class": ["star"], "mask_AP": [1.0]}
        assert len(server.client.list_artifacts(run.info.run_id, "pictures")) >= 6
        assert run.info.artifact_uri.startswith((tmp_path / "mlartifacts").as_uri())

    table = server.table(parents[0], "confusion.json")
    assert table["found_by_neither"] == table["instances"] == [len(store.found(jobs[0].key))] * 2
    assert parents[0].info.run_name == "tiny, 1 seed"
    assert parents[0].data.metrics == {"mask_AP/a": 0.0, "mask_AP/b": 20.0}
    assert "| b | 20.0 | 100 | - | 1 | - | 0.3 |" in parents[0].data.tags["mlflow.note.content"]
    assert [len(server.client.get_metric_history(parents[0].info.run_id, f"mask_AP/{arm}")) for arm in "ab"] == [1, 1]
    assert [(run.data.tags["arm"], run.data.tags["seed"], run.data.tags["loss.dice"]) for run in children] == [
        ("a", "0", "0.0"),
        ("b", "0", "2.0"),
    ]
    description = server.client.get_experiment(parents[0].info.experiment_id).tags["mlflow.note.content"]
    assert description.startswith("Mask AP (tiny, 1 seed): b 20.0, a 0.0\n\n| arm | mask AP |")
    assert "\n\nq\n\nExpected: a < b" in description
    assert description.count("Expected") == 1

    # a trial that is run afresh replaces its run; one that fails says so; one without a record was killed
    log = sweep()
    for job in jobs:
        store.forget(job.key)
        log.started(job)
    failed = crashed(jobs[0], store, "killed\nby somebody")
    log.ended(jobs[0], failed)
    log.finish({"pair": {jobs[0].key: failed}})
    parents, children = server.runs()
    assert [run.info.status for run in parents] == ["KILLED"]
    assert [(run.info.status, run.data.tags.get("reason")) for run in children] == [
        ("FAILED", "the process died: killed"),
        ("KILLED", None),
    ]
    assert all(math.isnan(parents[0].data.metrics[f"mask_AP/{arm}"]) for arm in "ab")
    assert "No result: a: seed 0: the process died: killed" in parents[0].data.tags["mlflow.note.content"]


def test_a_trial_that_a_search_stopped_early_has_not_failed(
    study: Study, jobs: list[Job], tmp_path: Path, fake_training: list
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    run_one_by_one(jobs[:1], store, Resources(), [], progress=False)
    curves = [{"epoch": 1, "epochs": 2, "seconds": 0.5, "loss/total": 1.0}]
    stopped = stopped_early(jobs[1], store, describe_job(jobs[1]), curves)
    records = {"pair": {jobs[0].key: store.finished(jobs[0].key), jobs[1].key: stopped}}
    ids = []
    for _ in range(2):
        log = Tracking([(study, jobs)], store, tmp_path)
        log.finish(records)
        ids.append(log.run_ids("pair"))
    assert ids[0] == ids[1]  # the second time nothing was lacking
    parents, children = server.runs()
    assert [run.info.status for run in parents + children] == ["FINISHED"] * 3
    assert [run.data.tags["status"] for run in children] == ["ok", "stopped_early"]
    assert children[1].data.tags["reason"] == "stopped early by the search after epoch 1 of 2"
    assert server.epochs(children[1]) == [(1, 1.0)]


def test_a_renamed_arm_is_shown_under_its_new_name_alone(
    study: Study, jobs: list[Job], tmp_path: Path, fake_training: list
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    run_one_by_one(jobs, store, Resources(), [], progress=False)
    records = {job.key: store.finished(job.key) for job in jobs}
    Tracking([(study, jobs)], store, tmp_path).finish({"pair": records})
    renamed = [replace(jobs[0], trial=replace(jobs[0].trial, arm="c")), jobs[1]]
    study = replace(study, arms=("c", "b"))
    Tracking([(study, renamed)], store, tmp_path).finish({"pair": records})
    parents, children = server.runs()
    assert [(run.info.run_name, run.data.params["arm"]) for run in children] == [("b-seed0", "b"), ("c-seed0", "c")]
    assert [run.data.metrics for run in parents] == [{"mask_AP/b": 20.0, "mask_AP/c": 0.0}]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}


def test_a_run_that_was_killed_between_its_first_calls_is_completed(
    study: Study, jobs: list[Job], tmp_path: Path
) -> None:
    store, server = Store(tmp_path / "store"), Server(tmp_path)
    log = Tracking([(study, jobs)], store, tmp_path)
    sent(log)
    server.client.create_run(log._studies[0]._experiment_id, tags={"trial_key": jobs[0].key}, run_name="a-seed0")
    log.started(jobs[0])
    log.finish({})
    (run,) = server.runs()[1]
    assert run.data.params["arm"] == "a"
    assert len(run.inputs.dataset_inputs) == 1
