"""Metrics of old trials from their kept detections: as of a fresh trial, to the last digit; or refused, by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.config import Config
from core.datasets.coco import read_validation_file
from core.datasets.masks import encode
from core.evaluation.coco_metrics import METRICS, coco_metrics
from core.evaluation.evaluate import Evaluation
from core.files.atomic import write_text
from core.record import Record, read_record
from experiments import trial as trial_module
from experiments.jobs import Job
from experiments.params import Resources
from experiments.rescore import main
from experiments.results.write import write_results
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import run_one_by_one

OLD = ("mask_AP", "box_AP")  # metrics that a record of earlier code has


def drawn_evaluation(config: Config) -> Evaluation:
    """Detections near the validation objects, with moved boxes and masks, and all that is computed of them."""
    file, rng = read_validation_file(config.data), np.random.default_rng(7)
    size = {image["id"]: (image["height"], image["width"]) for image in file.content["images"]}
    boxes, masks = [], []
    for annotation in file.content["annotations"]:
        mask = coco_mask.decode(encode(annotation["segmentation"], *size[annotation["image_id"]]))
        moved = coco_mask.encode(np.asfortranarray(np.roll(mask, rng.integers(-3, 4, 2), (0, 1))))
        score = float(np.float32(rng.random()))
        shared = {"image_id": annotation["image_id"], "category_id": annotation["category_id"], "score": score}
        box = np.float32(np.array(annotation["bbox"]) + rng.uniform(0, 4, 4)).tolist()
        boxes.append(shared | {"bbox": box})
        masks.append(shared | {"segmentation": {"size": moved["size"], "counts": moved["counts"].decode()}})
    scores = coco_metrics(file.content, boxes, masks)
    return Evaluation(scores.metrics, scores.recalls, {}, {}, boxes, masks)


@pytest.fixture
def here(jobs: list[Job], tmp_path: Path, fake_training: list, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose store/ has two finished trials with these detections."""
    train = trial_module.train

    def with_detections(config: Config, *arguments: object, **named: object):
        result = train(config, *arguments, **named)
        result.evaluation = drawn_evaluation(config)
        return result

    monkeypatch.setattr(trial_module, "train", with_detections)
    monkeypatch.chdir(tmp_path)
    run_one_by_one(jobs, Store(Path("store")), Resources(), [], progress=False)
    return tmp_path


def forget(store: Store, key: str, **changes: object) -> Record:
    """Turn the record of a trial into one of earlier code; returns what it was."""
    fresh = store.finished(key)
    old = {name: fresh.metrics[name] for name in OLD}
    write_text(store.folder(key) / "record.json", fresh.changed(**{"metrics": old} | changes).sealed().to_json())
    return fresh


def test_a_rescored_trial_has_the_metrics_of_a_fresh_one_to_the_last_digit(
    here: Path, jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    store, key = Store(here / "store"), jobs[0].key
    fresh = forget(store, key)
    assert main([]) == 0
    rescored = store.finished(key)
    assert rescored.metrics == fresh.metrics
    assert rescored.metrics["boundary_AP"] != rescored.metrics["mask_AP"]
    assert rescored.metrics["matched_boxes"] > 5
    new = fresh.metrics.keys() - set(OLD)
    assert set(METRICS) - set(OLD) < new
    assert rescored.rescored == dict.fromkeys(new, jobs[0].provenance.code)
    kept = {"metrics": {}, "rescored": {}}
    assert rescored.changed(**kept) == fresh.changed(**kept)
    printed = capsys.readouterr().out
    assert f"{key}  added mask_AP50, " in printed
    assert f"{jobs[1].key}  has every metric\n" in printed
    assert printed.endswith("2 trials have every metric, 0 are refused\n")
    before = {path: path.read_bytes() for path in store.root.rglob("record.json")}
    assert main([]) == 0
    assert {path: path.read_bytes() for path in store.root.rglob("record.json")} == before


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    study: Study, here: Path, jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(here / "store")
    for job in jobs:
        forget(store, job.key)
    write_results(study, jobs, {job.key: store.finished(job.key) for job in jobs}, store, here / "results")
    before = {path: path.read_bytes() for path in here.rglob("*.*") if path.is_file()}
    assert main(["--dry-run"]) == 0
    assert {path: path.read_bytes() for path in here.rglob("*.*") if path.is_file()} == before
    printed = capsys.readouterr().out
    assert printed.count("would add mask_AP50, ") == 2
    assert "2 trials would have every metric, 0 are refused; nothing is written\n" in printed


def no_detections(store: Store, job: Job, validation: Path) -> str:
    files = {name: digest for name, digest in store.finished(job.key).files.items() if "detections" not in name}
    forget(store, job.key, files=files)
    return "detections.json.gz: the trial kept no detections"


def lost_detections(store: Store, job: Job, validation: Path) -> str:
    (store.folder(job.key) / "detections.json.gz").unlink()
    return "detections.json.gz: cannot be read (No such file or directory)"


def damaged_detections(store: Store, job: Job, validation: Path) -> str:
    path = store.folder(job.key) / "detections.json.gz"
    path.write_bytes(path.read_bytes()[:-1])
    return "detections.json.gz: changed since it was written"


def edited_record(store: Store, job: Job, validation: Path) -> str:
    path = store.folder(job.key) / "record.json"
    path.write_text(path.read_text().replace('"box_AP":', '"box_AQ":'))
    return "record.json: changed since it was written"


def other_metric(store: Store, job: Job, validation: Path) -> str:
    """As if code that has changed since had computed it."""
    metrics = {"mask_AP": 99.5, "box_AP": store.finished(job.key).metrics["box_AP"]}
    forget(store, job.key, metrics=metrics)
    return "record.json: mask_AP is 99.5, but its detections give "


def other_annotations(store: Store, job: Job, validation: Path) -> str:
    content = json.loads(validation.read_text())
    validation.write_text(json.dumps(content | {"info": {"corrected": True}}))
    return f"{validation}: not the file that the trial was evaluated on: its SHA-256 is "


def no_annotations(store: Store, job: Job, validation: Path) -> str:
    validation.unlink()
    return f"{validation}: cannot be read (No such file or directory)"


@pytest.mark.parametrize(
    "harm",
    [
        no_detections,
        lost_detections,
        damaged_detections,
        edited_record,
        other_metric,
        other_annotations,
        no_annotations,
    ],
)
def test_a_trial_that_cannot_be_rescored_is_refused_by_name_and_left_as_it_is(
    here: Path, shapes: Path, jobs: list[Job], harm: Callable[[Store, Job, Path], str], capsys
) -> None:
    store, (first, second) = Store(here / "store"), jobs
    validation = shapes / "instances_val.json"
    whole = validation.read_bytes()
    fresh = forget(store, second.key)
    try:
        reason = harm(store, first, validation)
        before = (store.folder(first.key) / "record.json").read_bytes()
        assert main([]) == 1
    finally:
        validation.write_bytes(whole)
    printed = capsys.readouterr().out
    assert f"{first.key}  refused: " in printed
    assert reason in printed
    assert (store.folder(first.key) / "record.json").read_bytes() == before
    both = harm in (other_annotations, no_annotations)
    assert (store.finished(second.key).metrics == fresh.metrics) is not both  # the other trial, of the same file


def test_the_results_of_studies_get_the_metrics_and_a_table_of_them(
    study: Study, here: Path, jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    store, root = Store(here / "store"), here / "results"
    fresh = [forget(store, job.key) for job in jobs]
    write_results(study, jobs, {job.key: store.finished(job.key) for job in jobs}, store, root)
    table = (root / "pair.csv").read_bytes()
    shutil.copytree(root / "pair", root / ".pair.host-1.partial")  # left by a process that was killed
    assert (root / "pair" / "quality.csv").read_text().splitlines()[1] == f"pair,a,0,{jobs[0].key}{',' * 11}"
    assert main([]) == 0
    assert "results/pair: records and quality.csv are written" in capsys.readouterr().out
    for job, record in zip(jobs, fresh, strict=True):
        found = read_record(root / "pair" / "trials" / f"{job.key}.json")
        assert (found.arm, found.metrics) == (job.trial.arm, record.metrics)
        assert found.rescored == store.finished(job.key).rescored
    header, *rows = (root / "pair" / "quality.csv").read_text().splitlines()
    assert header == (
        "study,arm,seed,trial_key,boundary_AP,boundary_AP50,boundary_AP75,mask_iou,mask_iou_median,matched_boxes,"
        "filled_box_share,true_filled_box_share,mask_fragments,pseudo_mask_iou,pseudo_mask_iou_median"
    )
    values = [fresh[0].metrics[name] for name in header.split(",")[4:13]]
    expected = ",".join(str(round(value, 4)) for value in values)
    assert rows[0] == f"pair,a,0,{jobs[0].key},{expected},,"
    assert [row.split(",")[1] for row in rows] == ["a", "b"]
    assert (root / "pair.csv").read_bytes() == table
    assert main([]) == 0
    assert "are written" not in capsys.readouterr().out


def test_without_a_store_there_is_nothing_to_rescore(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert capsys.readouterr().err == "error: store: no such folder, expected the store of finished trials\n"
