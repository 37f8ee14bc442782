"""What a trial may ask for, and where it is placed: parts of a GPU, or several."""

import json
import os
import time
from pathlib import Path

import pytest
import ray

from experiments.jobs import list_jobs
from experiments.parallel import placement
from experiments.parallel import session as session_module
from experiments.parallel import sweep as sweep_module
from experiments.parallel.placement import check_resources, fitting_nodes
from experiments.params import Resources
from experiments.progress import Progress
from experiments.provenance import provenance
from experiments.store import Store
from tests.experiments.conftest import study_of


def test_more_than_any_node_has_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(placement.ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 4.0}}])
    check_resources(Resources(cpus_per_trial=4))
    with pytest.raises(ValueError, match=r"resources ask for 0\.5 GPU per trial, but the largest node has 0"):
        check_resources(Resources(gpus_per_trial=0.5))
    node = {"Alive": True, "Resources": {"CPU": 4.0, "memory": 10.5 * 2**30}}
    monkeypatch.setattr(placement.ray, "nodes", lambda: [node])
    check_resources(Resources(memory_per_trial_gb=10))
    with pytest.raises(ValueError, match=r"11 GB of memory per trial, but the largest node has 10\.5"):
        check_resources(Resources(memory_per_trial_gb=11))


def test_nodes_that_are_too_small_for_a_trial_or_gone_are_not_looked_at(monkeypatch) -> None:
    head = {"NodeID": "head", "Alive": True, "Resources": {"memory": 8.0 * 2**30}}
    worker = {"NodeID": "worker", "Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0, "memory": 8.0 * 2**30}}
    monkeypatch.setattr(placement.ray, "nodes", lambda: [head, worker, worker | {"NodeID": "gone", "Alive": False}])
    for asked in ({"cpus_per_trial": 2}, {"gpus_per_trial": 0.5}, {"memory_per_trial_gb": 8}):
        assert [node["NodeID"] for node in fitting_nodes(Resources(**asked))] == ["worker"]
    assert fitting_nodes(Resources(cpus_per_trial=9)) == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"gpus_per_trial": 1.5},
            r"gpus_per_trial is 1\.5, expected at most 1 \(trials share a GPU\), or a whole",
        ),
        ({"gpus_per_trial": 2}, "cpus_per_trial is 1, expected at least 2: one for each process of a trial"),
        ({"workers_per_trial": 3, "cpus_per_trial": 2}, "cpus_per_trial is 2, expected at least 3"),
        ({"workers_per_trial": 2, "gpus_per_trial": 1, "cpus_per_trial": 2}, "expected only one of them"),
    ],
)
def test_what_no_trial_can_use_is_refused(asked: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Resources(**asked)


@pytest.mark.parametrize(
    ("asked", "workers"),
    [
        ({}, 1),
        ({"gpus_per_trial": 0.5}, 1),
        ({"gpus_per_trial": 1}, 1),
        ({"gpus_per_trial": 2, "cpus_per_trial": 8}, 2),
        ({"workers_per_trial": 3, "cpus_per_trial": 3}, 3),
    ],
)
def test_a_trial_has_a_process_on_each_of_its_gpus(asked: dict[str, float], workers: int) -> None:
    assert Resources(**asked).workers == workers


@pytest.mark.slow
@pytest.mark.parametrize(("gpus_per_trial", "at_once"), [(0.5, 4), (2, 1)])
def test_trials_get_the_gpus_that_they_ask_for(
    shapes: Path, here: Path, monkeypatch: pytest.MonkeyPatch, gpus_per_trial: float, at_once: int
) -> None:
    """Two GPUs that are not there; a stand-in for the training notes which of them it sees."""

    def note_gpus(settings: dict, folder: Path, **others: object) -> None:
        seen = {"gpus": os.environ["CUDA_VISIBLE_DEVICES"].split(","), "from": time.time()}
        time.sleep(5)
        (folder / f"{settings['arm']}.json").write_text(json.dumps(seen | {"to": time.time()}))

    def start(resources: Resources) -> None:
        ray.init("local", num_cpus=8, num_gpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    monkeypatch.setattr(sweep_module, "train_job", note_gpus)
    monkeypatch.setattr(session_module, "start_ray", start)
    text = "question: q\nsource: s\nexpectation: none\nvary: {loss.dice: [1, 2, 3, 4]}\n"
    jobs = list_jobs(study_of(text, "four", shapes, here), provenance())
    store = Store(here / "store")
    resources = Resources(parallel_trials=4, gpus_per_trial=gpus_per_trial, cpus_per_trial=2)
    with session_module.ray_started(resources) as folder:
        sweep_module.run_with_ray(jobs, store, resources, [], Progress(jobs, 4), folder)
    seen = [json.loads(path.read_text()) for path in here.glob("*.json")]
    reasons = {store.failed(job.key).reason for job in jobs}
    assert reasons == {f"the process died: it ended without a record in {store.root}"}  # the stand-in writes none
    assert len(seen) == 4
    if gpus_per_trial == 2:
        assert [trial["gpus"] for trial in seen] == [["0", "1"]] * 4
    else:
        assert sorted(trial["gpus"] for trial in seen) == [["0"], ["0"], ["1"], ["1"]]
    most = max(sum(a["from"] <= b["from"] < a["to"] for a in seen) for b in seen)
    assert most <= at_once
