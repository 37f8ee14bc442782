"""Which jobs a sweep runs, and what their trials leave in the store."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.training import loop as training
from core.training.epoch import run_epoch
from experiments import sweep
from experiments.jobs import Job, list_jobs, waiting
from experiments.params import Resources
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import crashed, run_one_by_one
from tests.experiments.waiting_jobs import records_of, run_waiting


def test_finished_trials_do_not_run_again(jobs: list[Job], store: Store, fake_training: list[str]) -> None:
    run_waiting(jobs[:1], store)
    assert [job.key for job in waiting(jobs, store)] == [jobs[1].key]
    run_waiting(jobs, store)
    assert fake_training == ["0", "2"]
    assert waiting(jobs, store) == []


def test_trials_of_one_key_run_once(
    study: Study, jobs: list[Job], store: Store, made_from: Provenance, fake_training: list[str]
) -> None:
    again = list_jobs(replace(study, name="other"), made_from)
    assert [job.key for job in waiting(jobs + again, store)] == [job.key for job in jobs]
    run_waiting(jobs + again, store)
    assert fake_training == ["0", "2"]


def test_self_training_takes_a_teacher_that_has_finished(
    study: Study, store: Store, tmp_path: Path, made_from: Provenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = study.trials[0]
    config = boxes.config.model_copy(
        update={"supervision": boxes.config.supervision.model_copy(update={"mask_ratio": 0.0})}
    )
    masked = {
        "supervision": config.supervision.model_copy(update={"pseudo_masks": "teacher"}),
        "loss": config.loss.model_copy(update={"dice": 1.0}),
    }
    trials = (replace(boxes, config=config), replace(boxes, arm="self", config=config.model_copy(update=masked)))
    teacher, student = list_jobs(replace(study, trials=trials), made_from)
    alone = Store(tmp_path / "alone")
    run_waiting([student], alone)
    run_waiting([teacher], store)
    epochs: list[int] = []
    monkeypatch.setattr(training, "run_epoch", lambda *a, **k: epochs.append(k["epoch"]) or run_epoch(*a, **k))
    run_waiting([student], store)
    assert epochs == [0, 1]  # the student's
    expected, found = alone.finished(student.key), store.finished(student.key)
    assert found.metrics == expected.metrics
    assert 0 < found.metrics["pseudo_mask_iou"] < 1
    assert "pseudo_mask_iou" not in store.finished(teacher.key).metrics
    assert [numbers["loss/total"] for numbers in found.curves] == [n["loss/total"] for n in expected.curves]


def test_a_finished_checkpoint_keeps_the_weights_alone(jobs: list[Job], store: Store, fake_training: list) -> None:
    run_waiting(jobs[:1], store)
    content = torch.load(store.folder(jobs[0].key) / "checkpoint.pt", weights_only=True)
    assert set(content["state"]) == {"model", "curves"}


@pytest.mark.parametrize("name", ["record.json", "found.json", "detections.json.gz"])
def test_a_finished_trial_that_is_damaged_runs_again_from_its_checkpoint(
    jobs: list[Job], store: Store, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run_waiting(jobs[:1], store)
    whole = store.finished(jobs[0].key)
    path = store.folder(jobs[0].key) / name
    path.write_bytes(path.read_bytes()[:-2])
    epochs: list[int] = []
    monkeypatch.setattr(training, "run_epoch", lambda *a, **k: epochs.append(k["epoch"]) or run_epoch(*a, **k))
    run_waiting(jobs[:1], store)
    assert epochs == []
    assert store.finished(jobs[0].key).metrics == whole.metrics


def test_a_trial_whose_process_died_has_a_record(jobs: list[Job], store: Store) -> None:
    record = crashed(jobs[0], store, "The actor died.\n  pid 123")
    assert record.reason == "the process died: The actor died."
    assert store.failed(jobs[0].key).status == "failed"
    record = crashed(jobs[0], store, "The actor died.\n  pid 123", out_of_memory=True)
    assert record.reason == (
        "the process was killed when memory ran out; reduce resources.parallel_trials, training.batch_size (4) or "
        "the image size"
    )
    record = crashed(jobs[0], store, "The actor died.\n  pid 123", kernel_kills=2)
    assert record.reason.startswith(
        "the process died while the kernel killed 2 for lack of memory, probably also this one; reduce"
    )


def test_a_process_with_other_code_than_the_driver_s_trains_nothing(
    jobs: list[Job], store: Store, fake_training: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "current_code", lambda: "edited")
    run_waiting(jobs[:1], store)
    assert fake_training == []
    record = records_of(jobs[:1], store)[jobs[0].key]
    assert record.status == "failed"
    assert "(digest edited) differ from those at the start of the sweep" in record.reason


def test_a_gpu_that_is_not_there_is_named_before_anything_is_trained(
    jobs: list[Job], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="device is cuda, but torch finds no GPU"):
        run_one_by_one(jobs, store, Resources(gpus_per_trial=1), [])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"device is cuda:1, but torch finds 1 GPU\(s\)"):
        run_one_by_one(jobs, store, Resources(gpus_per_trial=2, cpus_per_trial=2), [])
    assert records_of(jobs, store)[jobs[0].key] is None
