"""One trial leaves one record, whatever happens, and pictures of the first validation images."""

import os
import socket
import time
from hashlib import sha256
from pathlib import Path

import torch
from PIL import Image

from core.evaluation.boundary import BOUNDARY_METRICS
from core.evaluation.kept_detections import read_detections
from core.record import MASK_QUALITY, Record, trial_key
from experiments import trial as trial_module
from experiments.pictures import NUM_PICTURES
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study, Trial
from experiments.trial import loader_processes, run_trial

METRICS = {f"{kind}_AP{suffix}" for kind in ("mask", "box") for suffix in ("", "50", "75", "s", "m", "l")}


def run(trial: Trial, folder: Path, made_from: Provenance, **arguments) -> Record:
    key = trial_key(trial.config, trial.seed, data_digest="d", code=made_from.code)
    return run_trial(
        trial, folder / key, key=key, data_digest="d", provenance=made_from, device="cpu", threads=1, **arguments
    )


def with_dice(trial: Trial, weight: float) -> Trial:
    loss = trial.config.loss.model_copy(update={"dice": weight})
    return Trial(trial.study, trial.arm, trial.seed, trial.config.model_copy(update={"loss": loss}), {})


def test_a_real_trial_leaves_the_promised_record_and_pictures(
    study: Study, tmp_path: Path, made_from: Provenance
) -> None:
    epochs: list[float] = []
    record = run(study.trials[0], tmp_path, made_from, on_epoch=lambda numbers: epochs.append(numbers["epoch"]))
    assert record.reason == ""
    assert record.status == "ok"
    assert epochs == [1, 2]
    assert set(record.metrics) == METRICS | {"mask_to_box_area"} | set(BOUNDARY_METRICS) | set(MASK_QUALITY)
    assert not (METRICS - record.curves[-1].keys() | record.curves[-1].keys() & set(MASK_QUALITY))  # only at the end
    assert set(record.per_class) == {"ellipse", "triangle", "star", "cross"}
    assert [numbers["epoch"] for numbers in record.curves] == [1, 2]
    assert {"loss/total", "loss/pairwise", "loss/pairwise_unweighted", "pairwise_warmup", "edges_kept"} <= set(
        record.curves[0]
    )
    assert record.seconds > 0
    assert record.peak_memory_mb > 100
    assert (record.git_revision, record.seed) == ("abc", 0)
    assert (record.host, record.process, record.rank) == (socket.gethostname(), os.getpid(), 0)
    assert record.device.startswith("cpu ")
    assert (record.host, record.process, record.rank) == (socket.gethostname(), os.getpid(), 0)
    assert record.precision == study.trials[0].config.training.precision == "float32"
    assert len(record.pictures) == min(NUM_PICTURES, 7)  # the data set has 7 validation images
    folder = tmp_path / record.key
    assert Image.open(folder / "pictures" / record.pictures[0]).size == (288, 288)  # 96 px, enlarged three times
    store = Store(tmp_path)
    store.write(record)
    assert store.finished(record.key) is not None
    validation = Path(study.trials[0].config.data.root, "instances_val.json")
    assert record.validation_file == sha256(validation.read_bytes()).hexdigest()
    boxes, masks = read_detections(folder / "detections.json.gz")
    assert len(boxes) == len(masks) <= 7 * 5


def test_the_seconds_of_a_trial_include_what_follows_its_training(
    study: Study, tmp_path: Path, made_from: Provenance, fake_training: list, monkeypatch
) -> None:
    before = run(study.trials[0], tmp_path / "before", made_from)
    original = trial_module.draw_detections
    monkeypatch.setattr(trial_module, "draw_detections", lambda *given: (time.sleep(0.5), original(*given))[1])
    after = run(study.trials[0], tmp_path / "after", made_from)
    assert before.curves[-1]["seconds"] < before.seconds
    assert after.curves[-1]["seconds"] + 0.5 < after.seconds


def test_a_trial_that_raises_is_a_record_with_the_reason(
    study: Study, tmp_path: Path, made_from: Provenance, fake_training: list
) -> None:
    record = run(with_dice(study.trials[0], 3), tmp_path, made_from)
    assert record.status == "failed"
    assert record.reason == "FloatingPointError: step 7: loss dice is not finite"
    assert "Traceback" in record.traceback
    assert [numbers["epoch"] for numbers in record.curves] == [1]
    assert record.metrics == {}


def test_every_trial_draws_the_same_images(
    study: Study, tmp_path: Path, made_from: Provenance, fake_training: list
) -> None:
    first, second = (run(trial, tmp_path, made_from) for trial in study.trials)
    assert first.pictures == second.pictures
    assert len(first.pictures) >= 6


def test_beside_a_gpu_the_other_cores_read_images() -> None:
    assert [loader_processes("cuda", 4), loader_processes("cuda:1", 1), loader_processes("cpu", 4)] == [3, 0, 0]


def test_a_trial_uses_its_number_of_threads_and_gives_them_back(
    study: Study, tmp_path: Path, made_from: Provenance, fake_training: list
) -> None:
    before, inside = torch.get_num_threads(), []
    key = {"key": "k", "data_digest": "d", "provenance": made_from}
    run_trial(
        study.trials[0], tmp_path, **key, device="cpu", threads=2,
        on_epoch=lambda numbers: inside.append(torch.get_num_threads()),
    )  # fmt: skip
    assert inside == [2, 2]
    assert torch.get_num_threads() == before
