"""Download a public data set for training: `python -m core.datasets.download coco --root datasets/coco`.

Run it again to resume: an interrupted download continues where it stopped, and unpacked archives are skipped.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from core.compute.command import run_command
from core.datasets.sources import nuclei
from core.datasets.sources.archive import is_unpacked, unpack
from core.datasets.sources.disk_space import require_space
from core.datasets.sources.fetch import PARTIAL, fetch
from core.datasets.sources.people import LIST_OF_IMAGES, is_made, write_people
from core.datasets.sources.scenes import SCENES
from core.datasets.sources.voc import write_voc_files
from core.files.imagenet_weights import FILES, SERVER
from core.files.tensors import read_tensors

ARCHIVES_FOLDER = ".archives"  # under root; removed when everything is unpacked


@dataclass(frozen=True)
class Archive:
    """An official archive at `server`/`path` with its size (bytes) and MD5, and the files of it that are unpacked.

    Size and MD5 are None if they are not known: then the size is compared with the server's.
    """

    server: str
    path: str
    size: int | None
    md5: str | None
    inside: str = ""  # folder of the archive to unpack
    prefixes: tuple[str, ...] = ("",)  # of the paths below it

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


COCO_SERVER = "http://images.cocodataset.org"
TEST_DEV_LIST = "image_info_test-dev2017.json"  # the images of test-dev, half of those of test
# COCO publishes no checksums: these are values that many projects found independently. VOC and SBD: from torchvision.
CATALOG = {
    "coco_train": Archive(
        COCO_SERVER, "zips/train2017.zip", 19_336_861_798, "cced6f7f71b7629ddf16f17bbcfab6b2", "train2017"
    ),
    "coco_val": Archive(COCO_SERVER, "zips/val2017.zip", 815_585_330, "442b8da7639aecaf257c1dceb8ba8c80", "val2017"),
    "coco_annotations": Archive(
        COCO_SERVER, "annotations/annotations_trainval2017.zip", 252_907_541, "f4bbac642086de4f52a3fdda2de5fa2c",
        "annotations", prefixes=("instances_",),
    ),
    "coco_test": Archive(
        COCO_SERVER, "zips/test2017.zip", 6_646_970_404, "77ad2c53ac5d0aea611d422c0938fb35", "test2017"
    ),
    "coco_test_list": Archive(
        COCO_SERVER, "annotations/image_info_test2017.zip", 1_144_034, "85da7065e5e600ebfee8af1edb634eb5",
        "annotations", prefixes=(TEST_DEV_LIST,),
    ),
    "voc": Archive(
        "http://host.robots.ox.ac.uk/pascal/VOC", "voc2012/VOCtrainval_11-May-2012.tar", 1_999_639_040,
        "6cd6e144f989b92b3379bac3b3de84fd", "VOCdevkit/VOC2012",
        prefixes=("JPEGImages/", "SegmentationClass/", "SegmentationObject/", "ImageSets/Segmentation/"),
    ),
    "sbd": Archive(
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping", "semantic_contours/benchmark.tgz",
        1_419_539_633, "82b4d87ceb2ed10f6038a1cba92111cb", "benchmark_RELEASE/dataset",
        prefixes=("inst/", "train.txt", "val.txt"),
    ),
    "nuclei": Archive(nuclei.SERVER, nuclei.PATH, size=None, md5=None),  # no checksum is published
}  # fmt: skip


@dataclass(frozen=True)
class Shelf:
    """Where archives are downloaded from and stored until they are unpacked."""

    folder: Path
    mirror: str | None = None  # instead of each archive's server
    keep: bool = False  # whether to keep archives after unpacking
    progress: bool = False

    def get(self, archive: Archive) -> Path:
        """The path of an archive, which is downloaded if missing."""
        target = self.folder / archive.name
        url = f"{(self.mirror or archive.server).rstrip('/')}/{archive.path}"
        fetch(url, target, size=archive.size, md5=archive.md5, progress=self.progress)
        return target

    def done_with(self, *archives: Archive) -> None:
        if not self.keep:
            for archive in archives:
                (self.folder / archive.name).unlink()

    def num_bytes_to_fetch(self, archive: Archive) -> int:
        paths = [self.folder / archive.name, self.folder / (archive.name + PARTIAL)]
        return max((archive.size or 0) - sum(path.stat().st_size for path in paths if path.exists()), 0)


def download_coco(root: Path, shelf: Shelf) -> None:
    """COCO 2017 unchanged: train2017/, val2017/, annotations/instances_*.json (20 GB)."""
    folders = {"annotations": "coco_annotations", "val2017": "coco_val", "train2017": "coco_train"}
    _unpack_missing(root, {folder: CATALOG[name] for folder, name in folders.items()}, shelf)


def download_coco_val(root: Path, shelf: Shelf) -> None:
    """COCO for evaluation: val2017/, annotations/instances_*.json (1 GB); download coco later for the rest."""
    folders = {"annotations": "coco_annotations", "val2017": "coco_val"}
    _unpack_missing(root, {folder: CATALOG[name] for folder, name in folders.items()}, shelf)


def download_coco_test(root: Path, shelf: Shelf) -> None:
    """COCO's test-dev: test2017/ and annotations/image_info_test-dev2017.json (7 GB)."""
    folders = {"annotations": "coco_annotations", "test2017": "coco_test"}
    _unpack_missing(root, {folder: CATALOG[name] for folder, name in folders.items()}, shelf)
    target = root / "annotations" / TEST_DEV_LIST
    if not target.exists():
        archive = CATALOG["coco_test_list"]
        with TemporaryDirectory(prefix=".annotations.", dir=root) as scratch:
            folder = Path(scratch, "annotations")
            unpack(shelf.get(archive), folder, inside=archive.inside, prefixes=archive.prefixes)
            os.replace(folder / TEST_DEV_LIST, target)
        shelf.done_with(archive)


def download_voc(root: Path, shelf: Shelf) -> None:
    """VOC 2012 and SBD, combined in annotations/instances_train_aug.json and instances_val.json (4 GB)."""
    _unpack_missing(root, {"VOC2012": CATALOG["voc"], "SBD": CATALOG["sbd"]}, shelf)
    write_voc_files(root / "VOC2012", root / "SBD", root / "annotations", progress=shelf.progress)


def download_people(root: Path, shelf: Shelf, list_of_images: Path = LIST_OF_IMAGES) -> None:
    """Small photos of people from COCO val2017: images/, instances_*.json, boxes_only.json (1 GB to download)."""
    if not is_made(root, list_of_images):
        archives = [CATALOG["coco_annotations"], CATALOG["coco_val"]]
        _require_room(root, shelf, made=0, fetched=sum(map(shelf.num_bytes_to_fetch, archives)))
        annotations, photos = map(shelf.get, archives)
        write_people(root, annotations, photos, list_of_images=list_of_images, progress=shelf.progress)
        shelf.done_with(*archives)


def download_nuclei(root: Path, shelf: Shelf) -> None:
    """Microscopy images of nuclei from BBBC038 (CC0): images/, instances_train.json, instances_val.json (0.1 GB)."""
    if not nuclei.is_made(root):
        archive = CATALOG["nuclei"]
        nuclei.write_nuclei(root, shelf.get(archive), progress=shelf.progress)
        shelf.done_with(archive)


def download_scenes(root: Path, shelf: Shelf) -> None:
    """Generated scenes: train/, val/, test/, instances_*.json (87 MB); drawn here, nothing is downloaded."""
    SCENES.write(root, progress=shelf.progress)


def download_weights(root: Path, shelf: Shelf) -> None:
    """ImageNet weights for the recipes on COCO and VOC: R-50.pkl, R-101.pkl (0.3 GB); use --root weights.

    No checksums are published: the size is compared with the server's, and the files must be readable.

    Raises:
        ValueError: if a file contains anything but tensors; it is removed if it was just downloaded.
    """
    for path in FILES:
        target = root / Path(path).name
        there_before = target.exists()
        fetch(f"{(shelf.mirror or SERVER).rstrip('/')}/{path}", target, progress=shelf.progress)
        try:
            read_tensors(target)
        except ValueError:
            if not there_before:
                target.unlink()
            raise


DATASETS: dict[str, Callable[[Path, Shelf], None]] = {
    "coco": download_coco,
    "coco_val": download_coco_val,
    "coco_test": download_coco_test,
    "voc": download_voc,
    "people": download_people,
    "nuclei": download_nuclei,
    "scenes": download_scenes,
    "weights": download_weights,
}


def _unpack_missing(root: Path, folders: dict[str, Archive], shelf: Shelf) -> None:
    """Download and unpack missing folders, one archive after the other, after checking the disk space for all."""
    missing = {folder: archive for folder, archive in folders.items() if not is_unpacked(root / folder, archive.name)}
    rests = [shelf.num_bytes_to_fetch(archive) for archive in missing.values()]
    # Photos do not compress: unpacked files take as much space as the archive.
    unpacked = sum(archive.size or 0 for archive in missing.values())
    _require_room(root, shelf, made=unpacked, fetched=sum(rests) if shelf.keep else max(rests, default=0))
    for folder, archive in missing.items():
        path = shelf.get(archive)
        unpack(path, root / folder, inside=archive.inside, prefixes=archive.prefixes, progress=shelf.progress)
        shelf.done_with(archive)


def _require_room(root: Path, shelf: Shelf, *, made: int, fetched: int) -> None:
    """Check the disk space for the bytes `made` in `root` and `fetched` to the shelf, before starting."""
    for folder in (root, shelf.folder):
        folder.mkdir(parents=True, exist_ok=True)
    if root.stat().st_dev == shelf.folder.stat().st_dev:
        require_space(root, made + fetched)
    else:
        require_space(root, made)
        require_space(shelf.folder, fetched)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.datasets.download",
        description="Download a public data set from its official servers, verify it and unpack it for training. "
        "Run the same command again to resume.",
        epilog="\n".join(f"{name}: {function.__doc__.splitlines()[0]}" for name, function in DATASETS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", choices=DATASETS, help="what to download, see below")
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set, such as datasets/coco")
    parser.add_argument(
        "--mirror", metavar="URL", help="http(s) base URL to use instead of the official servers: URL/zips/..."
    )
    parser.add_argument(
        "--archives",
        type=Path,
        metavar="DIR",
        help="folder to keep archives in, reused if already there (default: remove each archive after unpacking)",
    )
    return run_command(partial(run, parser.parse_args(arguments)))


def run(options: argparse.Namespace) -> None:
    folder = options.archives or options.root / ARCHIVES_FOLDER
    shelf = Shelf(folder, mirror=options.mirror, keep=options.archives is not None, progress=True)
    DATASETS[options.dataset](options.root, shelf)
    if not shelf.keep and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    print(f"{options.root}: {options.dataset} is complete")


if __name__ == "__main__":
    sys.exit(main())
