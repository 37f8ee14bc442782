"""What kept detections give beyond metrics: IoUs of masks, and AP on resampled images."""

import csv
import json
from hashlib import sha256
from pathlib import Path

import pytest

from core.evaluation.kept_detections import DETECTIONS, write_detections
from core.files.atomic import write_text
from core.record import Record
from core.result_tables import BINS
from experiments.from_detections import main

ARMS = {"both": 1, "full": 0}  # arm: pixels by which its masks are moved
SIDE = 20


def outline(left: int) -> list[list[int]]:
    return [[left, 2, left + 10, 2, left + 10, 12, left, 12]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """results/ and store/ of a study with two arms and two seeds, on eight images."""
    monkeypatch.chdir(tmp_path)
    images = [{"id": index, "file_name": f"{index}.png", "height": SIDE, "width": SIDE} for index in range(8)]
    annotations = [
        {"id": index, "image_id": index, "category_id": 1, "bbox": [2, 2, 10, 10], "segmentation": outline(2)}
        for index in range(8)
    ]
    content = {"images": images, "categories": [{"id": 1, "name": "square"}], "annotations": annotations}
    (tmp_path / "data/images").mkdir(parents=True)
    write_text(tmp_path / "data/val.json", json.dumps(content))
    (tmp_path / "results").mkdir()
    for study in ("terms", "ratio"):
        write_study(tmp_path, study, seeds=2)
    return tmp_path


def write_study(root: Path, study: str, *, seeds: int) -> None:
    data = {"root": str(root / "data"), "val_annotations": "val.json", "val_images": "images"}
    rows = ["study,arm,seed,trial_key"]
    for arm, moved in ARMS.items():
        for seed in range(seeds):
            key = f"{arm}{seed}".encode().hex()[:16].ljust(16, "0")
            shared = [{"image_id": index, "category_id": 1, "score": 1 - index / 10} for index in range(8 - seed)]
            boxes = [detection | {"bbox": [2.0, 2.0, 10.0, 10.0]} for detection in shared]
            masks = [detection | {"segmentation": encoded(2 + moved)} for detection in shared]
            write_detections(boxes, masks, root / "store" / key / DETECTIONS)
            record = Record(
                key=key, status="ok", reason="", study=study, arm=arm, seed=seed, config={"data": data},
                data_digest="d", code="c", metrics={"mask_AP": 50.0}, curves=[], pictures=[], files={DETECTIONS: "0"},
                validation_file=sha256((root / "data/val.json").read_bytes()).hexdigest(),
            )  # fmt: skip
            write_text(root / "results" / study / "trials" / f"{key}.json", record.sealed().to_json())
            rows.append(f"{study},{arm},{seed},{key}")
    write_text(root / "results" / f"{study}.csv", "\n".join(rows) + "\n")


def encoded(left: int) -> dict:
    from pycocotools import mask as coco_mask

    (encoding,) = coco_mask.frPyObjects(outline(left), SIDE, SIDE)
    return encoding | {"counts": encoding["counts"].decode()}


def rows(study: str, table: str = "resampled_ap.csv") -> list[list[str]]:
    with Path(f"results/{study}/{table}").open(newline="") as file:
        return list(csv.reader(file))


def test_each_trial_has_its_ap_and_one_for_each_draw(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["terms"]) == 0
    header, *found = rows("terms")
    assert header[:4] == ["trial_key", "validation_file", "all_images", "draw_0"]
    assert len(header) == 3 + 200
    assert len(found) == 4
    assert all(row[2] == "50.0" for row in found)  # of the record
    of_full = next(row for row in found if row[0].startswith(b"full0".hex()))
    assert set(of_full[3:]) == {"100.0"}  # every object is found by its exact mask
    assert "results/terms/resampled_ap.csv: 4 trials" in capsys.readouterr().out
    before = Path("results/terms/resampled_ap.csv").read_bytes()
    assert main(["--study", "terms"]) == 0
    assert Path("results/terms/resampled_ap.csv").read_bytes() == before


def test_each_trial_has_the_ious_of_its_matched_masks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["terms"]) == 0
    header, *found = rows("terms", "mask_ious.csv")
    assert header == ["trial_key", *BINS]
    by_trial = {row[0]: [int(count) for count in row[1:]] for row in found}
    both, full = (
        [counts for key, counts in by_trial.items() if key.startswith(arm)] for arm in (b"both".hex(), b"full".hex())
    )
    assert [(counts[19], sum(counts)) for counts in full] == [(8, 8), (7, 7)]  # exact masks; seed 1 misses an object
    moved_by_one = 9 * 10 / (10 * 10 + 10)  # IoU
    assert [(counts[int(20 * moved_by_one)], sum(counts)) for counts in both] == [(8, 8), (7, 7)]
    assert "results/terms/mask_ious.csv: 4 trials" in capsys.readouterr().out


def test_an_earlier_file_of_another_study_is_no_source(here: Path) -> None:
    assert main(["terms"]) == 0
    path = Path("results/terms/resampled_ap.csv")
    kept = path.read_text()
    path.write_text(kept.replace("100.0", "1.0"))  # as if its draws had been others
    assert main(["ratio"]) == 0
    assert Path("results/ratio/resampled_ap.csv").read_text() == kept


def test_nothing_is_written_for_one_seed_or_without_detections(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_study(here, "single", seeds=1)
    assert main(["single"]) == 0
    assert "resampled_ap.csv: not written, no arm has two seeds" in capsys.readouterr().out
    assert not Path("results/single/resampled_ap.csv").exists()
    assert len(rows("single", "mask_ious.csv")) == 3
    for path in Path("results/ratio/trials").iterdir():
        old = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("files", "sha256")}
        path.write_text(json.dumps(old))
    assert main(["ratio"]) == 0
    assert not Path("results/ratio/resampled_ap.csv").exists()
    assert not Path("results/ratio/mask_ious.csv").exists()
    assert "mask_ious.csv: not written, no trial has both a mask AP and kept detections" in capsys.readouterr().out


def test_another_annotation_file_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / "data/val.json"
    path.write_text(path.read_text().replace('"square"', '"circle"'))
    assert main(["terms"]) == 2
    assert "not the file that the trial was evaluated on" in capsys.readouterr().err
