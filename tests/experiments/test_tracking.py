"""A real MLflow database: a parent run per sweep, one child per trial, nothing twice after a restart."""

from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from experiments.params import Resources
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import Job, crashed, list_jobs, run_job, run_one_by_one
from experiments.tracking import Tracking


class Server:
    """The database below `folder` as a user sees it."""

    def __init__(self, folder: Path) -> None:
        self.client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")

    def runs(self) -> tuple[list[Run], list[Run]]:
        """(parents, children) of the study `pair`, oldest first."""
        experiment = self.client.get_experiment_by_name("pair")
        runs = self.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
        children = [run for run in runs if "trial_key" in run.data.tags]
        return [run for run in runs if run not in children], children

    def epochs(self, run: Run) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(run.info.run_id, "loss/total")
        return [(metric.step, metric.value) for metric in history]


@pytest.fixture
def jobs(study: Study, made_from: Provenance) -> list[Job]:
    return list_jobs(study, made_from)


def test_a_sweep_that_is_killed_and_started_again_leaves_one_run_a_trial(
    study: Study, jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_training: list
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store, server = Store(tmp_path / ".store"), Server(tmp_path)

    def sweep() -> Tracking:
        return Tracking(study, jobs, store, tmp_path)

    # killed in the first trial, after its first epoch: nothing is closed
    killed = sweep()
    killed.started(jobs[0])
    killed.epoch(jobs[0], {"epoch": 1, "epochs": 2, "seconds": 0.5, "loss/total": 1.0})

    # one trial was finished without MLflow, the other one runs now
    finished = run_job(jobs[0], store, Resources(), lambda numbers: None)
    log = sweep()
    run_one_by_one(jobs[1:], store, Resources(), [log], progress=False)
    records = {jobs[0].key: finished, jobs[1].key: store.finished(jobs[1].key)}
    log.complete(records)
    log.close(records)

    # and once more, with nothing to do
    log = sweep()
    log.complete(records)
    log.close(records)

    parents, children = server.runs()
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert [(run.info.run_name, run.info.status) for run in children] == [
        ("a-seed0", "FINISHED"),
        ("b-seed0", "FINISHED"),
    ]
    for job, run in zip(jobs, children, strict=True):
        assert server.epochs(run) == [(1, 1.0), (2, 0.5)]
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert (tags["trial_key"], tags["mlflow.source.git.commit"]) == (job.key, "abc")
        assert run.data.metrics["final/mask_AP"] == records[job.key]["metrics"]["mask_AP"]
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
        assert names == ["config.yaml", "pictures", "record.json"]
        assert len(server.client.list_artifacts(run.info.run_id, "pictures")) >= 6
        assert run.info.artifact_uri.startswith((tmp_path / "mlartifacts").as_uri())

    # a trial that is run afresh replaces its run; one that fails says so; one without a record was killed
    log = sweep()
    for job in jobs:
        log.started(job)
    failed = crashed(jobs[0], store, MemoryError("killed"))
    log.ended(jobs[0], failed)
    log.close({jobs[0].key: failed})
    parents, children = server.runs()
    assert [run.info.status for run in parents] == ["KILLED"]
    assert [(run.info.status, run.data.tags.get("reason")) for run in children] == [
        ("FAILED", "the process died: MemoryError: killed"),
        ("KILLED", None),
    ]
