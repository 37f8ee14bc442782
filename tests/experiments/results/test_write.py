"""The results of a study: table, records and pictures of its trials, whole whoever else writes them."""

import multiprocessing
import os
from pathlib import Path

from core.record import read_record
from experiments.jobs import Job, list_jobs, waiting
from experiments.provenance import Provenance
from experiments.results import write as results
from experiments.results.write import write_results
from experiments.store import Store
from experiments.study import Study
from tests.experiments.conftest import failing
from tests.experiments.waiting_jobs import records_of, run_waiting


def test_the_table_has_a_row_for_each_trial_and_no_clock(
    study: Study, jobs: list[Job], store: Store, tmp_path: Path, fake_training: list
) -> None:
    run_waiting(jobs, store)
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
    run_waiting(jobs, store)
    row = write_results(study, jobs, records_of(jobs, store), store, tmp_path).read_text().splitlines()[1]
    assert row.endswith(",,,,,,,,failed,FloatingPointError: step 7: loss dice is not finite")
    assert [job.key for job in waiting(jobs, store)] == [jobs[0].key]  # it is tried again


def test_results_hold_records_and_pictures_and_nothing_of_before(
    study: Study, jobs: list[Job], store: Store, tmp_path: Path, fake_training: list
) -> None:
    run_waiting(jobs, store)
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
    run_waiting(jobs, store)
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
