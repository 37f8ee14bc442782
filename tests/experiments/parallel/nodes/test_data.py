"""Which data a node takes for the driver's, and how it gets a copy: once, whole or not at all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.jobs import list_jobs
from experiments.parallel.nodes import data as data_module
from experiments.parallel.nodes.data import (
    NeededData,
    batches,
    cache_folder,
    fetch_uri,
    folder_with_data,
    holds,
    needed_data,
    sent_files,
)
from experiments.provenance import Provenance
from tests.experiments.conftest import ARMS, study_of

ROOT = Path("datasets/mine")
HEAD = "question: q\nsource: s\nexpectation: none\n"


@pytest.fixture
def driver(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the command, with a data set; the cache of this machine is empty."""
    folder = tmp_path / "driver"
    shutil.copytree(shapes, folder / ROOT)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def needed(driver: Path, made_from: Provenance) -> NeededData:
    (found,) = needed_data(list_jobs(study_of(ARMS, "pair", ROOT, driver), made_from), driver).values()
    return found


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder / ROOT, target / ROOT)
    return target


def test_the_very_files_are_known_without_reading_the_images(driver: Path, needed: NeededData, monkeypatch) -> None:
    monkeypatch.setattr(data_module, "data_digest", lambda *files: pytest.fail("twenty gigabytes"))
    assert holds(driver, needed)


def test_a_copy_is_read_and_one_changed_image_makes_it_another_data_set(
    driver: Path, needed: NeededData, tmp_path: Path
) -> None:
    node = copied(driver, tmp_path / "node")
    assert holds(node, needed)
    image = next((node / ROOT / "train").iterdir())
    image.write_bytes(image.read_bytes() + b"\0")
    assert not holds(node, needed)
    assert not holds(tmp_path / "nothing", needed)


def test_the_file_of_initial_weights_belongs_to_it(driver: Path, made_from: Provenance, tmp_path: Path) -> None:
    (driver / "weights").mkdir()
    (driver / "weights" / "trunk.pkl").write_bytes(b"weights")
    text = f"{HEAD}arms: {{a: {{model.backbone.weights: weights/trunk.pkl}}}}\n"
    jobs = list_jobs(study_of(text, "one", ROOT, driver), made_from)
    (needed,) = needed_data(jobs, driver).values()
    node = copied(driver, tmp_path / "node")
    assert not holds(node, needed)
    (node / "weights").mkdir()
    (node / "weights" / "trunk.pkl").write_bytes(b"weights")
    assert holds(node, needed)
    assert sent_files(needed, driver, with_data=False) == [("weights/trunk.pkl", 7)]


def test_a_file_of_masks_belongs_to_it(driver: Path, made_from: Provenance, tmp_path: Path) -> None:
    shutil.copyfile(driver / ROOT / "instances_train.json", driver / ROOT / "masks.json")
    arm = "{supervision.pseudo_masks: {file: masks.json}}"
    jobs = list_jobs(study_of(f"{HEAD}arms: {{a: {arm}}}\n", "one", ROOT, driver), made_from)
    (needed,) = needed_data(jobs, driver).values()
    node = copied(driver, tmp_path / "node")
    assert holds(node, needed)
    masks = node / ROOT / "masks.json"
    content = json.loads(masks.read_text())
    del content["annotations"][-1]
    masks.write_text(json.dumps(content))
    assert not holds(node, needed)


def test_what_is_missing_is_fetched_once_and_appears_whole(driver: Path, needed: NeededData, tmp_path: Path) -> None:
    fetched: list[Path] = []

    def fetch(target: Path) -> None:
        fetched.append(target)
        copied(driver, target)

    nowhere = tmp_path / "nowhere"
    found = [folder_with_data(needed, nowhere, fetch) for _ in range(2)]
    assert found == [cache_folder() / needed.digest] * 2 != fetched * 2
    assert holds(found[0], needed)
    assert len(fetched) == 1
    assert folder_with_data(needed, driver, fetch) == driver
    next((found[0] / ROOT / "val").iterdir()).unlink()  # as a cleaner of caches does
    assert holds(folder_with_data(needed, nowhere, fetch), needed)


@pytest.mark.parametrize("harm", ["fails", "is another"])
def test_a_copy_that_fails_or_is_another_leaves_nothing(
    driver: Path, needed: NeededData, tmp_path: Path, harm: str
) -> None:
    def fetch(target: Path) -> None:
        copied(driver, target)
        next((target / ROOT / "train").iterdir()).unlink()
        if harm == "fails":
            raise OSError(28, "No space left on device")

    with pytest.raises((OSError, ValueError), match=r"No space|fetched as datasets/mine is not the data of the driver"):
        folder_with_data(needed, tmp_path / "nowhere", fetch)
    assert [path.suffix for path in cache_folder().iterdir()] == [".lock"]


def test_paths_out_of_the_folder_are_not_sent(driver: Path, needed: NeededData, tmp_path: Path) -> None:
    data = needed.config.data.model_copy(update={"root": "../data"})
    outside = replace(needed, config=needed.config.model_copy(update={"data": data}))
    with pytest.raises(ValueError, match=r"no copy of \.\./data like the driver's, and only files below the folder"):
        folder_with_data(outside, tmp_path / "nowhere", lambda target: pytest.fail("fetched"))


def test_a_uri_has_the_folders_of_data_sets(driver: Path, needed: NeededData, tmp_path: Path) -> None:
    fetch_uri(f"file://{driver}/datasets/", needed, tmp_path / "node")
    assert holds(tmp_path / "node", needed)
    with pytest.raises(ValueError, match="nothing://"):
        fetch_uri("nothing://bucket", needed, tmp_path / "other")
    with pytest.raises(OSError, match="elsewhere"):
        fetch_uri(f"file://{tmp_path}/elsewhere", needed, tmp_path / "third")


def test_files_are_sent_in_batches_of_a_size(driver: Path, needed: NeededData, monkeypatch) -> None:
    monkeypatch.setattr(data_module, "BATCH", 10)
    files = [("a", 4), ("b", 6), ("c", 1), ("large", 50), ("d", 1)]
    assert list(batches(files)) == [["a", "b"], ["c"], ["large"], ["d"]]
    assert list(batches([])) == []
    sent = [name for name, _ in sent_files(needed, driver, with_data=True)]
    assert sorted(sent) == sorted(
        path.relative_to(driver).as_posix() for path in (driver / ROOT).rglob("*") if path.is_file()
    )
