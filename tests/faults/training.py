"""Faults of one training: kills, signals, damaged files, wrong data."""

import json
import shutil
import signal
import time
from pathlib import Path

import psutil

from core.checkpoints.checkpoint import CHECKPOINT
from tests.faults.project import Done, Project, Unexpected, flip_bit

SOME_EPOCHS = 1.0  # seconds between the first checkpoint and the fault


def _hurt(project: Project, number: int, *, status: int, pattern: str = "") -> Done:
    """Send a signal some epochs after the first checkpoint."""
    running = project.start(project.train_words()).until((project.training / CHECKPOINT).exists)
    time.sleep(SOME_EPOCHS)
    running.send(number, to_group=number == signal.SIGINT)
    return running.wait().ended(status, pattern)


def _ends_as_undisturbed(project: Project, undisturbed: Project) -> None:
    project.run(project.train_words()).ended(0)
    if project.metrics() != undisturbed.metrics():
        raise Unexpected("another result than the training that nothing happened to")


def kill_9(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """kill -9 in a training"""
    done = _hurt(project, signal.SIGKILL, status=-signal.SIGKILL)
    _ends_as_undisturbed(project, undisturbed)
    return done, "the epoch in flight; resumed, equal to the bit"


def sigterm(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """SIGTERM to a training, as Slurm and Kubernetes send it"""
    done = _hurt(project, signal.SIGTERM, status=143, pattern="same command")
    _ends_as_undisturbed(project, undisturbed)
    return done, "nothing; resumed at the next step, equal to the bit"


def control_c(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """Ctrl-C in a training"""
    done = _hurt(project, signal.SIGINT, status=130)
    if len(done.said.splitlines()) > 8:
        raise Unexpected(f"{len(done.said.splitlines())} lines for Ctrl-C")
    _ends_as_undisturbed(project, undisturbed)
    return done, "the epoch in flight at most; resumed, equal to the bit"


def flipped_bits_in_a_checkpoint(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """one flipped bit in a checkpoint, in each of five places"""
    checkpoint = project.training / CHECKPOINT
    shutil.copytree(undisturbed.training, project.training)
    content = checkpoint.read_bytes()
    for place in (0.02, 0.3, 0.5, 0.7, 0.98):
        checkpoint.write_bytes(content)
        flip_bit(checkpoint, place)
        done = project.run(project.train_words()).ended(2, CHECKPOINT)
    return done, "nothing silently: the file is refused"


def two_in_one_folder(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """the same training twice in one folder, at once"""
    first = project.start(project.train_words()).until((project.training / CHECKPOINT).exists)
    done = project.run(project.train_words()).ended(2, "another training")
    first.wait().ended(0)
    if project.metrics() != undisturbed.metrics():
        raise Unexpected("the first training was disturbed")
    return done, "nothing; the first one ends undisturbed"


def broken_photo(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """a photo of the training data is cut off in the middle"""
    photo = sorted((project.data / "train").iterdir())[3]
    photo.write_bytes(photo.read_bytes()[:300])
    return project.run(project.train_words()).ended(2, photo.name), "nothing"


def broken_photo_in_a_loader(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """a photo with a whole header and half of its pixels, found by a loader process"""
    photo = sorted((project.data / "train").iterdir())[3]
    photo.write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])
    done = project.run(project.train_words(loader_processes=2)).ended(2, photo.name)
    return done, "nothing"


def truncated_annotations(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """an annotation file is cut off"""
    path = project.data / "instances_train.json"
    path.write_bytes(path.read_bytes()[:-200])
    return project.run(project.train_words()).ended(2, path.name), "nothing"


def huge_polygon(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """a polygon with a coordinate of 10^10 px"""
    path = project.data / "instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = [[0, 0, 1e10, 0, 10, 10]]
    path.write_text(json.dumps(content))
    words = project.train_words("--set", "supervision.mask_ratio=1", "--set", "loss.dice=1")
    return project.run(words).ended(2, path.name), "nothing"


def loader_killed(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """kill -9 of a loader process, as the kernel does when memory runs out"""
    running = project.start(project.train_words(loader_processes=1))
    running.until((project.training / CHECKPOINT).exists)
    for process in psutil.Process(running.process.pid).children(recursive=True):
        if "resource_tracker" not in " ".join(process.cmdline()):
            process.kill()
    done = running.wait().ended(2, "loader")
    _ends_as_undisturbed(project, undisturbed)
    return done, "the epoch in flight; resumed, equal to the bit"


def small_shared_memory(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """/dev/shm has 64 kB, with two loader processes"""
    words = project.train_words(loader_processes=2)
    done = project.run(words, shell="mount -t tmpfs -o size=64k tmpfs /dev/shm")
    return _ended_or_named(project, undisturbed, done, "/dev/shm")


def few_open_files(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """64 open files at most, with two loader processes"""
    done = project.run(project.train_words(loader_processes=2), shell="ulimit -n 64")
    return _ended_or_named(project, undisturbed, done, "open files")


def long_temporary_path(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """a temporary folder of over 100 letters, with two loader processes"""
    folder = project.folder / ("t" * 120)
    folder.mkdir()
    done = project.run(project.train_words(loader_processes=2), TMPDIR=str(folder))
    return _ended_or_named(project, undisturbed, done, "TMPDIR|temporary")


def _ended_or_named(project: Project, undisturbed: Project, done: Done, cause: str) -> tuple[Done, str]:
    """It either works, with the same result, or says the cause."""
    if done.status:
        return done.ended(2, cause), "nothing"
    if project.metrics() != undisturbed.metrics():
        raise Unexpected("another result than the training that nothing happened to")
    return done, "nothing; it works"


def full_disk(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """no space for the checkpoint"""
    folder = project.folder / "small"
    folder.mkdir()
    words = project.train_words(folder=folder / "training")
    return project.run(words, shell=f"mount -t tmpfs -o size=1m tmpfs '{folder}'").ended(2, "space|full"), "nothing"


def little_memory(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """12 GB of address space for a network that needs more"""
    words = project.train_words("--set", "model.pyramid_channels=8192")
    return project.run(words, shell="ulimit -v 12000000").ended(2, "memory"), "nothing"


def read_only_folder(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """the folder of the training is read-only"""
    folder: Path = project.folder / "fixed"
    folder.mkdir()
    words = project.train_words(folder=folder / "training")
    return project.run(words, shell=f"mount -t tmpfs -o ro tmpfs '{folder}'").ended(2, "read-only"), "nothing"


FAULTS = (
    kill_9,
    sigterm,
    control_c,
    flipped_bits_in_a_checkpoint,
    two_in_one_folder,
    broken_photo,
    broken_photo_in_a_loader,
    truncated_annotations,
    huge_polygon,
    loader_killed,
    small_shared_memory,
    few_open_files,
    long_temporary_path,
    full_disk,
    little_memory,
    read_only_folder,
)
