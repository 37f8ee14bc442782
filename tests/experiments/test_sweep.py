"""Which jobs a sweep runs, what it shows, and what it leaves."""

import io
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.record import Record, read_record
from core.training import loop as training
from core.training.epoch import run_epoch
from experiments import results, sweep
from experiments.jobs import Job, list_jobs, waiting
from experiments.params import Resources
from experiments.progress import Progress, as_duration, seconds_left
from experiments.provenance import Provenance
from experiments.results import write_results
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import crashed, run_one_by_one


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def jobs(study: Study, made_from: Provenance) -> list[Job]:
    return list_jobs(study, made_from)


def run(jobs: list[Job], store: Store, *observers) -> None:
    run_one_by_one(waiting(jobs, store), store, Resources(), observers, progress=False)


def records_of(jobs: list[Job], store: Store) -> dict[str, Record]:
    return {job.key: store.finished(job.key) or store.failed(job.key) for job in jobs}


def failing(study: Study) -> Study:
    """The study with a first arm whose (fake) training raises."""
    trial = study.trials[0]
    loss = trial.config.loss.model_copy(update={"dice": 3.0})
    broken = replace(trial, config=trial.config.model_copy(update={"loss": loss}))
    return replace(study, trials=(broken, *study.trials[1:]))


def test_finished_trials_do_not_run_again(jobs: list[Job], store: Store, fake_training: list[str]) -> None:
    run(jobs[:1], store)
    assert [job.key for job in waiting(jobs, store)] == [jobs[1].key]
    run(jobs, store)
    assert fake_training == ["0", "2"]
    assert waiting(jobs, store) == []


def test_trials_of_one_key_run_once(
    study: Study, jobs: list[Job], store: Store, made_from: Provenance, fake_training: list[str]
) -> None:
    again = list_jobs(replace(study, name="other"), made_from)
    assert [job.key for job in waiting(jobs + again, store)] == [job.key for job in jobs]
    run(jobs + again, store)
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
    run([student], alone)
    run([teacher], store)
    epochs: list[int] = []
    monkeypatch.setattr(training, "run_epoch", lambda *a, **k: epochs.append(k["epoch"]) or run_epoch(*a, **k))
    run([student], store)
    assert epochs == [0, 1]  # the student's
    expected, found = alone.finished(student.key), store.finished(student.key)
    assert found.metrics == expected.metrics
    assert 0 < found.metrics["pseudo_mask_iou"] < 1
    assert "pseudo_mask_iou" not in store.finished(teacher.key).metrics
    assert [numbers["loss/total"] for numbers in found.curves] == [n["loss/total"] for n in expected.curves]


def test_a_finished_checkpoint_keeps_the_weights_alone(jobs: list[Job], store: Store, fake_training: list) -> None:
    run(jobs[:1], store)
    content = torch.load(store.folder(jobs[0].key) / "checkpoint.pt", weights_only=True)
    assert set(content["state"]) == {"model", "curves"}


@pytest.mark.parametrize("name", ["record.json", "found.json", "detections.json.gz"])
def test_a_finished_trial_that_is_damaged_runs_again_from_its_checkpoint(
    jobs: list[Job], store: Store, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run(jobs[:1], store)
    whole = store.finished(jobs[0].key)
    path = store.folder(jobs[0].key) / name
    path.write_bytes(path.read_bytes()[:-2])
    epochs: list[int] = []
    monkeypatch.setattr(training, "run_epoch", lambda *a, **k: epochs.append(k["epoch"]) or run_epoch(*a, **k))
    run(jobs[:1], store)
    assert epochs == []
    assert store.finished(jobs[0].key).metrics == whole.metrics


def test_the_table_has_a_row_for_each_trial_and_no_clock(
    study: Study, jobs: list[Job], store: Store, tmp_path: Path, fake_training: list
) -> None:
    run(jobs, store)
    path = write_results(study, jobs, records_of(jobs, store), store, tmp_path)
    assert path.read_text().splitlines() == [
        "study,arm,seed,trial_key,loss.dice,mask_AP,mask_AP50,mask_AP75,mask_APs,mask_APm,mask_APl,box_AP,"
        "mask_to_box_area,status,reason",
        f"pair,a,0,{jobs[0].key},0.0,0.0,,,,,,0.3333,,ok,",
        f"pair,b,0,{jobs[1].key},2.0,20.0,,,,,,0.3333,,ok,",
    ]


def test_a_failed_trial_is_a_row_with_its_reason(
    study: Study, store: Store, made_from: Provenance, tmp_path: Path, fake_training: list
) -> None:
    study = failing(study)
    jobs = list_jobs(study, made_from)
    run(jobs, store)
    row = write_results(study, jobs, records_of(jobs, store), store, tmp_path).read_text().splitlines()[1]
    assert row.endswith(",,,,,,,,failed,FloatingPointError: step 7: loss dice is not finite")
    assert [job.key for job in waiting(jobs, store)] == [jobs[0].key]  # it is tried again


def test_results_hold_records_and_pictures_and_nothing_of_before(
    study: Study, jobs: list[Job], store: Store, tmp_path: Path, fake_training: list
) -> None:
    run(jobs, store)
    root = tmp_path / "results"
    (root / "pair" / "trials").mkdir(parents=True)
    (root / "pair" / "trials" / "old.json").write_text("{}")
    path = write_results(study, jobs, records_of(jobs, store), store, root)
    assert path == root / "pair.csv"
    assert sorted(p.name for p in (root / "pair" / "trials").iterdir()) == sorted(f"{job.key}.json" for job in jobs)
    assert len(list((root / "pair" / "pictures" / "a-seed0").glob("*.png"))) == 7
    assert sorted(p.name for p in root.iterdir()) == [".pair.lock", "pair", "pair.csv"]
    record = read_record(root / "pair" / "trials" / f"{jobs[0].key}.json")
    assert (record.arm, record.sha256) == ("a", record.sealed().sha256)


def collect_again_and_again(study: Study, jobs: list[Job], store: Store, root: Path, rounds: int) -> None:
    for _ in range(rounds):
        write_results(study, jobs, records_of(jobs, store), store, root)


def test_processes_that_collect_one_study_at_once_leave_its_results_whole(
    study: Study, jobs: list[Job], store: Store, tmp_path: Path, fake_training: list, monkeypatch
) -> None:
    run(jobs, store)
    monkeypatch.setattr(results, "draw_annotations", lambda dataset, folder: None)  # it only takes time
    write_results(study, jobs, records_of(jobs, store), store, tmp_path / "alone")
    root, rounds = tmp_path / "results", int(os.environ.get("COLLECT_ROUNDS", "10"))
    (root / ".pair.host-1.partial").mkdir(parents=True)
    (root / ".pair.host-1.partial" / "left").write_text("by a process that was killed")
    (root / ".pair.csv.partial").write_text("likewise")
    arguments = study, jobs, store, root, rounds
    processes = [
        multiprocessing.get_context("fork").Process(target=collect_again_and_again, args=arguments) for _ in range(5)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 5
    assert sorted(path.name for path in root.iterdir()) == [".pair.lock", "pair", "pair.csv"]
    assert files_of(root) == files_of(tmp_path / "alone")


def files_of(root: Path) -> dict[Path, bytes]:
    files = {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*") if path.is_file()}
    assert len(files) == 3 + 2 + 2 * 7  # lock and two tables, records, pictures of 7 images
    return files


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
    run(jobs[:1], store)
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


def test_without_a_terminal_every_report_is_a_line(jobs: list[Job], record_of: Callable[[Job], Record]) -> None:
    stream = io.StringIO()
    progress = Progress(jobs, parallel=2, stream=stream)
    progress.started(jobs[0])
    progress.epoch(jobs[0], {"epoch": 1, "epochs": 2, "seconds": 60.0})
    progress.epoch(jobs[0], {"epoch": 2, "epochs": 2, "seconds": 120.0, "mask_AP": 12.34})
    progress.ended(jobs[0], record_of(jobs[0]).changed(metrics={"mask_AP": 12.34}))
    assert stream.getvalue().splitlines() == [
        "a-seed0 starting · 0 of 2 done · time left unknown",
        # 1 and 2 epochs of a minute are left, on two places: 1.5 in all, but the second trial alone takes 2
        "a-seed0 1/2 · 0 of 2 done · 2 min left",
        "a-seed0 2/2 mask AP 12.3 · 0 of 2 done · 2 min left",
        "a-seed0: mask AP 12.3 (1 of 2 done)",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_kept_up_to_date(jobs: list[Job]) -> None:
    stream = Terminal()
    progress = Progress(jobs, parallel=2, stream=stream)
    for job in jobs:
        progress.started(job)
    progress.epoch(jobs[1], {"epoch": 1, "epochs": 2, "seconds": 3600.0, "mask_AP": 5.0})
    assert stream.getvalue().count("\n") == 0
    shown = stream.getvalue().split("\r\033[K")[-1]
    assert shown == "0/2 done · a-seed0 starting · b-seed0 1/2 mask AP 5.0 · 2 h 0 min left"


def test_time_left_is_the_work_over_the_places_and_at_least_the_longest_trial() -> None:
    assert seconds_left({"a": 10, "b": 10}, {}, parallel=2) is None
    assert seconds_left({"a": 10, "b": 20}, {"a": 2.0}, parallel=2) == 40.0  # 20 and 40 s: b is the longest
    assert seconds_left({"a": 10, "b": 10, "c": 10}, {"a": 2.0, "b": 4.0}, parallel=2) == 45.0  # (20 + 40 + 30) / 2
    assert [as_duration(s) for s in (None, 5.4, 61, 3700)] == [
        "time left unknown",
        "5 s left",
        "1 min left",
        "1 h 2 min left",
    ]
