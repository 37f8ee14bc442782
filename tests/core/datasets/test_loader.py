"""Batches from other processes: equal to the bit, and every way in which such a process fails is told."""

import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from core.config import DataConfig, SupervisionConfig
from core.config.file import build_config
from core.datasets import coco
from core.datasets import loader as loader_module
from core.datasets.batch import packed, unpacked
from core.datasets.coco import load_training_set, load_validation_set
from core.datasets.image_cache import ImageCache
from core.datasets.loader import BatchLoader
from core.datasets.photo import open_rgb
from core.datasets.sources.shapes import generate
from core.structures import Annotations, Sample
from tests.core.datasets.conftest import annotation

INDICES = [[3, 1], [0, 2, 4]]
FILES = {f"{split}_images": "train" for split in ("train", "val")} | {
    f"{split}_annotations": "instances_train.json" for split in ("train", "val")
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "shapes"
    generate(folder, {"train": 6}, seed=7, size=96)
    return folder


def shapes(root: Path) -> Dataset:
    data = {"root": str(root), "train_images": "train", "train_annotations": "instances_train.json"}
    config = build_config({"data": data, "supervision": {"mask_ratio": 1.0}}, "test")
    return load_training_set(config.data, config.supervision, 0, semantic_labels=True)


class Made(Dataset):
    """Samples whose id is what `number` returns for their index, in the process that loads them."""

    def __init__(self, number: Callable[[int], int]) -> None:
        self.number = number

    def __len__(self) -> int:
        return 10

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: int) -> Sample:
        none = torch.zeros(0)
        annotations = Annotations(none.view(0, 4), none.long(), none.bool(), none.bool().view(0, 8, 8), none.view(0, 2))
        return Sample(torch.zeros(3, 32, 32, dtype=torch.uint8), annotations, self.number(index), (32, 32), 0)


def test_batches_are_equal_to_the_bit_for_any_number_of_processes(root: Path) -> None:
    with BatchLoader(shapes(root), 0) as here, BatchLoader(shapes(root), 2) as there:
        for epoch in (0, 1, 5):
            ours, theirs = (list(loader.load(INDICES, epoch)) for loader in (here, there))
            assert [batch.image_ids for batch in theirs] == [[4, 2], [1, 3, 5]]
            assert [packed(batch) for batch in ours] == [packed(batch) for batch in theirs]
        assert packed(next(here.load(INDICES, 0))) != packed(next(here.load(INDICES, 1)))  # other views


def photos(root: Path) -> DataConfig:
    """A data set of photos of 40 x 24 px, whose largest view has 22 x 13."""
    sizes = {"short_sides": [9, 12], "long_side_max": 25, "val_short_side": 12, "scale_range": [0.5, 1.1]}
    return build_config({"data": {"root": str(root)} | FILES | sizes}, "test").data


@pytest.mark.parametrize("processes", [0, 2])
def test_a_training_of_ten_epochs_with_evaluations_decodes_each_photo_once(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    ids = range(1, 62)
    data, decoded = photos(write([annotation(i, i) for i in ids], tuple(ids))), tmp_path / "decoded"

    def noted(path: Path, *given: Any, **named: Any) -> Any:
        with decoded.open("a") as file:  # one short line: whole, whichever processes write
            file.write(f"{path}\n")
        return open_rgb(path, *given, **named)

    monkeypatch.setattr(coco, "open_rgb", noted)
    training_set, validation_set = load_training_set(data, SupervisionConfig(), 0), load_validation_set(data)
    with BatchLoader(training_set, processes) as loader:
        for epoch in range(10):
            assert len(list(loader.load([[i, 60 - i] for i in range(30)] + [[30]], epoch))) == 31
            if epoch in (4, 9):
                with BatchLoader(validation_set, processes) as evaluated:  # as an evaluation does
                    assert len(list(evaluated.load([[i] for i in range(61)], 0))) == 61
    # each once for the training, once for the validation
    assert sorted(Counter(decoded.read_text().split()).values()) == [2] * 61


@pytest.mark.parametrize("held_mib", [0.0, 900 / 2**20, 1.0])  # none; one of 22 x 13 px; all
@pytest.mark.parametrize("processes", [0, 1, 2])
def test_batches_are_equal_to_the_bit_whatever_is_held(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, held_mib: float, processes: int
) -> None:
    data = photos(write([annotation(i, i) for i in range(1, 6)], (1, 2, 3, 4, 5)))

    def of_epochs(processes: int, epochs: Sequence[int]) -> list[bytes]:
        with BatchLoader(load_training_set(data, SupervisionConfig(), 0), processes) as loader:
            return [packed(batch) for epoch in epochs for batch in loader.load(INDICES, epoch)]

    monkeypatch.setattr(coco, "ImageCache", partial(ImageCache, held_mib=0.0))
    expected = of_epochs(0, range(3))
    monkeypatch.setattr(coco, "ImageCache", partial(ImageCache, held_mib=held_mib))
    assert of_epochs(processes, range(3)) == expected
    assert of_epochs(processes, [2]) == expected[-len(INDICES) :]  # resumed


def test_a_batch_is_unpacked_as_it_was(root: Path) -> None:
    batch = next(BatchLoader(shapes(root), 0).load(INDICES, 0))
    again = unpacked(packed(batch))
    assert torch.equal(again.images, batch.images)
    assert again.images.dtype == torch.uint8
    for ours, theirs in zip(batch.annotations, again.annotations, strict=True):
        for name, tensor in vars(ours).items():
            other = getattr(theirs, name)
            assert other is None if tensor is None else torch.equal(tensor, other)
    again.images.add_(1)  # it may be written to


def test_the_processes_live_as_long_as_the_loader() -> None:
    with BatchLoader(Made(lambda index: os.getpid()), 2) as loader:
        of_epochs = [{batch.image_ids[0] for batch in loader.load([[0], [1]], epoch)} for epoch in (0, 1)]
        assert of_epochs[0] == of_epochs[1]
        assert len(of_epochs[0] - {os.getpid()}) == 2
    for process in of_epochs[0]:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_an_epoch_that_is_left_early_does_not_mix_with_the_next() -> None:
    with BatchLoader(Made(lambda index: index), 2) as loader:
        assert next(loader.load([[0], [1], [2]], 0)).image_ids == [0]
        assert [batch.image_ids for batch in loader.load([[7], [8]], 1)] == [[7], [8]]


def refuse(index: int) -> int:
    raise ValueError(f"a.jpg: is {index} pixels wide")


class OddError(Exception):
    """Cannot be read from its pickle."""

    def __init__(self, number: int, place: str) -> None:
        super().__init__(f"{number} at {place}")


def be_odd(index: int) -> int:
    raise OddError(index, "a.jpg")


@pytest.mark.parametrize("processes", [0, 1])
def test_what_loading_raises_has_its_own_words(processes: int) -> None:
    with BatchLoader(Made(refuse), processes) as loader, pytest.raises(ValueError, match="wide") as raised:
        next(loader.load([[3]], 0))
    assert str(raised.value) == "a.jpg: is 3 pixels wide"
    if processes:
        assert "in refuse" in raised.value.__notes__[0]


def test_an_exception_that_does_not_travel_is_told_by_name() -> None:
    with BatchLoader(Made(be_odd), 1) as loader, pytest.raises(RuntimeError, match=r"OddError: 3 at a\.jpg"):
        next(loader.load([[3]], 0))


def test_a_process_that_dies_is_told_soon() -> None:
    started = time.monotonic()
    with (
        BatchLoader(Made(lambda index: os.kill(os.getpid(), signal.SIGKILL)), 1) as loader,
        pytest.raises(
            ChildProcessError, match=r"loads images \(pid \d+\) was killed by SIGKILL; most often the memory"
        ),
    ):
        next(loader.load([[0]], 0))
    assert time.monotonic() - started < 10


def test_signals_to_the_whole_group_are_left_to_the_main_process() -> None:
    def signaled(index: int) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        return index

    with BatchLoader(Made(signaled), 1) as loader:
        assert next(loader.load([[3]], 0)).image_ids == [3]


def test_a_batch_that_never_comes_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "LOOK", 0.2)
    monkeypatch.setattr(loader_module, "PATIENCE", 3)
    never = pytest.raises(TimeoutError, match="no batch of images came within 1 s, though the processes that load")
    with BatchLoader(Made(lambda index: time.sleep(2) or 0), 1) as loader, never:
        next(loader.load([[0]], 0))
    monkeypatch.setattr(loader_module, "PATIENCE", 30)
    with BatchLoader(Made(lambda index: time.sleep(0.5) or 7), 1) as loader:  # longer than one look
        assert next(loader.load([[0]], 0)).image_ids == [7]


def test_few_open_files_and_a_long_path_for_temporary_ones_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 120)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 20, hard))
    try:
        with BatchLoader(Made(lambda index: index), 2) as loader:
            kept = [batch for epoch in (0, 1) for batch in loader.load([[0] * 64, [1] * 64], epoch)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(kept) == 4  # 256 samples of six tensors


def test_no_room_for_semaphores_is_told_with_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_semaphore(value: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loader_module, "Semaphore", refuse_semaphore)
    with BatchLoader(Made(lambda index: index), 2) as loader, pytest.raises(OSError, match=r"^/dev/shm: No space left"):
        next(loader.load([[0]], 0))
