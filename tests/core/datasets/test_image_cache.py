"""Images are made once for all processes, take no more memory than they may, and survive every end of a process."""

import os
import pickle
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.datasets import image_cache
from core.datasets.image_cache import ImageCache

SIZES = {7: (24, 40), 8: (24, 41), 9: (2, 3)}  # 2,880, 2,952 and 18 bytes
MIB = 2**20

forked = get_context("fork")


class Maker:
    """Makes the images of SIZES, and remembers in a file which ones, whatever process they are made in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def __call__(self, image_id: int) -> Image.Image:
        with self.path.open("a") as file:
            file.write(f"{image_id}\n")
        return picture(image_id)

    def made(self) -> list[int]:
        return [int(line) for line in self.path.read_text().split()]


def picture(image_id: int) -> Image.Image:
    pixels = np.random.default_rng(image_id).integers(0, 256, (*SIZES[image_id], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def get(cache: ImageCache, image_id: int, make: Callable[[int], Image.Image]) -> Image.Image:
    image = cache.get(image_id, lambda: make(image_id))
    assert image.mode == "RGB"
    assert image.tobytes() == picture(image_id).tobytes()
    return image


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "made")


def test_each_image_is_made_once_and_the_caller_may_change_its_copy(maker: Maker) -> None:
    cache = ImageCache(SIZES)
    for image_id in (8, 7, 9, 8, 8, 7, 9):
        get(cache, image_id, maker).paste((0, 0, 0), (0, 0, 2, 2))
    assert maker.made() == [8, 7, 9]


def test_an_image_that_does_not_fit_is_made_every_time_and_leaves_its_room_to_smaller_ones(maker: Maker) -> None:
    cache = ImageCache(SIZES, held_mib=(2880 + 18) / MIB)
    for image_id in (7, 8, 9) * 2:
        get(cache, image_id, maker)
    assert maker.made() == [7, 8, 9, 8]
    none = ImageCache({})
    get(none, 7, maker)


@pytest.mark.parametrize(("available", "made"), [(11531, [7, 8, 9, 8, 9]), (None, [7, 8, 9])])
def test_images_are_held_while_they_take_at_most_a_quarter_of_the_memory(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, available: int | None, made: list[int]
) -> None:
    # 2,880 bytes are a quarter of 11,520; 5,832 are more than one of 11,531 + 2,880, and with that it ends.
    monkeypatch.setattr(image_cache, "available_memory", lambda: available)
    cache = ImageCache(SIZES)
    for image_id in (7, 8, 9) * 2:
        get(cache, image_id, maker)
    assert maker.made() == made


def test_what_is_held_already_counts_as_memory_that_would_be_available(maker: Maker, monkeypatch) -> None:
    monkeypatch.setattr(image_cache, "available_memory", lambda: 4 * 2898 - 2880)  # without what is held: 8,712
    cache = ImageCache({7: SIZES[7], 9: SIZES[9]})
    monkeypatch.setattr(image_cache, "MEMORY_SHARE", 1.0)
    get(cache, 7, maker)
    monkeypatch.setattr(image_cache, "MEMORY_SHARE", 0.25)
    get(cache, 9, maker)
    get(cache, 9, maker)
    assert maker.made() == [7, 9]


def test_a_system_that_refuses_the_memory_gets_a_warning_and_the_same_images(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*given: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(image_cache.mmap, "mmap", refuse)
    cache = ImageCache(SIZES)
    assert caplog.messages == [
        "decoded images are not held (Cannot allocate memory): each is decoded every time it is used"
    ]
    for image_id in (7, 7):
        get(cache, image_id, maker)
    assert maker.made() == [7, 7]


def test_the_copy_of_a_process_that_is_not_forked_makes_its_own_images(maker: Maker) -> None:
    cache = ImageCache(SIZES)
    get(cache, 7, maker)
    content = pickle.dumps(cache)
    assert len(content) < 1000
    copied = pickle.loads(content)
    for image_id in (7, 7):
        get(copied, image_id, maker)
    assert maker.made() == [7, 7, 7]


def test_an_image_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="image 7: is 3 x 2 pixels, expected 40 x 24"):
        ImageCache(SIZES).get(7, lambda: picture(9))


def test_an_error_is_passed_on_and_the_image_made_at_the_next_call(maker: Maker) -> None:
    def refuse(image_id: int) -> Image.Image:
        raise ValueError("a.jpg: cannot be read")

    cache = ImageCache(SIZES)
    with pytest.raises(ValueError, match=r"a\.jpg"):
        get(cache, 7, refuse)
    get(cache, 7, maker)
    assert maker.made() == [7]


def test_forked_processes_at_once_make_each_image_once_and_this_one_has_it_too(maker: Maker) -> None:
    def slowly(image_id: int) -> Image.Image:
        time.sleep(0.05)
        return maker(image_id)

    def work(cache: ImageCache) -> None:
        for image_id in SIZES:
            get(cache, image_id, slowly)

    cache = ImageCache(SIZES)
    processes = [forked.Process(target=work, args=(cache,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    work(cache)
    assert maker.made() == [7, 8, 9]


def process_in_the_midst(cache: ImageCache) -> "forked.Process":
    """A process that has begun to make image 7, and never ends it."""
    begun = forked.Event()

    def never(image_id: int) -> Image.Image:
        begun.set()
        time.sleep(600)

    process = forked.Process(target=get, args=(cache, 7, never))
    process.start()
    assert begun.wait(30)
    return process


def test_a_process_that_is_killed_while_it_makes_an_image_holds_up_nobody(maker: Maker) -> None:
    cache = ImageCache(SIZES)
    process = process_in_the_midst(cache)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    started = time.monotonic()
    get(cache, 7, maker)
    get(cache, 7, maker)
    assert time.monotonic() - started < 5
    assert maker.made() == [7]


def test_a_process_that_hangs_is_waited_for_a_while_and_the_image_made_without_it(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, "PATIENCE", 0.2)
    cache = ImageCache(SIZES)
    process = process_in_the_midst(cache)
    started = time.monotonic()
    get(cache, 7, maker)
    assert 0.2 <= time.monotonic() - started < 5
    get(cache, 9, maker)
    get(cache, 9, maker)
    process.kill()
    process.join()
    get(cache, 7, maker)
    get(cache, 7, maker)
    assert maker.made() == [7, 9, 7]


def test_where_locks_fail_images_are_made_every_time(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise OSError(37, "No locks available")

    cache = ImageCache(SIZES)
    monkeypatch.setattr("core.files.lock.fcntl.lockf", refuse)
    started = time.monotonic()
    for image_id in (7, 7):
        get(cache, image_id, maker)
    assert time.monotonic() - started < 5
    assert maker.made() == [7, 7]


def test_a_cache_leaves_no_open_file() -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        ImageCache(SIZES)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_without_files_in_memory_the_locks_are_a_temporary_file(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    cache = ImageCache(SIZES)
    for image_id in (7, 7):
        get(cache, image_id, maker)
    assert maker.made() == [7]
