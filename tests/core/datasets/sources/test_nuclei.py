"""Nuclei from a small archive of the official layout: splits, images, masks, and archives that are refused."""

import hashlib
import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from core.datasets.annotation_file import AnnotationFile
from core.datasets.masks import encode
from core.datasets.sources.nuclei import is_made, split_of, write_nuclei

SPLITS = {"a": "train", "b": "val", "c": "train", "d": "val", "e": "train", "f": None}
IDS = (*SPLITS,)
EMPTIED = "c"  # in one of the tests
WIDTH, HEIGHT = 32, 24
NUCLEI = [(slice(2, 8), slice(3, 9)), (slice(10, 20), slice(20, 31))]  # rows and columns; 36 and 110 px
SPECK = (slice(0, 3), slice(0, 3))  # 9 px: too small


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def mask_png(*places: tuple[slice, slice], size: tuple[int, int] = (HEIGHT, WIDTH)) -> bytes:
    mask = np.zeros(size, dtype=np.uint8)
    for place in places:
        mask[place] = 255
    return png(mask)


def image_png(*, gray: bool, size: tuple[int, int] = (HEIGHT, WIDTH)) -> bytes:
    """With a fourth channel, as in the official archive."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 1 if gray else 3), dtype=np.uint8)
    pixels = np.broadcast_to(pixels, (*size, 3))
    return png(np.concatenate([pixels, np.full((*size, 1), 255, dtype=np.uint8)], axis=2))


def members(ids: tuple[str, ...], *, prefix: str = "") -> dict[str, bytes]:
    """Files of an archive: images of two nuclei and a speck each; every second one is gray."""
    files = {}
    for number, image_id in enumerate(ids):
        files[f"{prefix}{image_id}/images/{image_id}.png"] = image_png(gray=number % 2 == 0)
        for index, place in enumerate([*NUCLEI, SPECK]):
            files[f"{prefix}{image_id}/masks/{index}.png"] = mask_png(place)
    return files


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def made(tmp_path: Path) -> Path:
    archive = write_zip(tmp_path / "stage1_train.zip", members(IDS) | {"__MACOSX/a/images/._a.png": b""})
    write_nuclei(tmp_path / "nuclei", archive)
    return tmp_path / "nuclei"


def test_the_hash_of_the_id_says_the_split() -> None:
    assert hashlib.sha256(b"a").hexdigest().startswith("ca978112")  # 3398926610, modulo 100: 10
    assert split_of("a") == "train"
    assert {image_id: split_of(image_id) for image_id in IDS} == SPLITS


def test_three_fifths_are_for_training_and_a_fifth_for_validation() -> None:
    splits = [split_of(str(number)) for number in range(10_000)]
    assert splits.count("train") / 10_000 == pytest.approx(0.6, abs=0.015)
    assert splits.count("val") / 10_000 == pytest.approx(0.2, abs=0.015)


def test_our_own_reader_takes_the_folder(made: Path) -> None:
    assert is_made(made)
    assert {path.name for path in made.iterdir()} == {"images", "instances_train.json", "instances_val.json"}
    for split in ("train", "val"):
        file = AnnotationFile.read(made / f"instances_{split}.json", made / "images")
        assert file.problems == []
        assert file.mask_problems(file.images) == []
        assert [*file.categories] == ["nucleus"]
        assert [record.file_name for record in file.images] == [f"{i}.png" for i in IDS if SPLITS[i] == split]


def test_masks_are_those_of_the_archive_without_specks(made: Path) -> None:
    content = json.loads((made / "instances_train.json").read_text())
    first, second = [a for a in content["annotations"] if a["image_id"] == content["images"][0]["id"]]
    assert (first["bbox"], first["area"]) == ([3, 2, 6, 6], 36)
    assert (second["bbox"], second["area"]) == ([20, 10, 11, 10], 110)
    mask = coco_mask.decode(encode(second["segmentation"], HEIGHT, WIDTH))
    assert mask[NUCLEI[1]].all()
    assert mask.sum() == 110


def test_gray_images_have_one_channel_and_equal_pixels(made: Path) -> None:
    for number, image_id in enumerate(IDS):
        if SPLITS[image_id] is not None:
            with Image.open(made / f"images/{image_id}.png") as image:
                assert image.mode == ("L" if number % 2 == 0 else "RGB")
                expected = Image.open(BytesIO(image_png(gray=number % 2 == 0))).convert("RGB")
                assert (np.asarray(image.convert("RGB")) == np.asarray(expected)).all()


def test_a_folder_around_all_and_equal_archives_change_nothing(made: Path, tmp_path: Path) -> None:
    write_nuclei(tmp_path / "other", write_zip(tmp_path / "other.zip", members(IDS, prefix="stage1_train/")))
    for split in ("train", "val"):
        one, other = (json.loads((root / f"instances_{split}.json").read_text()) for root in (made, tmp_path / "other"))
        assert one["info"].pop("archive_sha256") != other["info"].pop("archive_sha256")
        assert one == other


def test_large_images_and_those_without_nuclei_are_left_out(tmp_path: Path) -> None:
    files = members(IDS)
    large = (401, 20)
    files |= {"a/images/a.png": image_png(gray=True, size=large)}
    files |= {f"a/masks/{index}.png": mask_png(NUCLEI[0], size=large) for index in range(3)}
    files |= {f"{EMPTIED}/masks/{index}.png": mask_png(SPECK) for index in range(3)}
    write_nuclei(tmp_path / "nuclei", write_zip(tmp_path / "some.zip", files))
    left_out = {"a.png", f"{EMPTIED}.png"}
    assert not left_out & {path.name for path in (tmp_path / "nuclei/images").iterdir()}
    content = json.loads((tmp_path / "nuclei/instances_train.json").read_text())
    ids = [image["id"] for image in content["images"]]
    assert ids == list(range(1, len(ids) + 1))
    assert {a["image_id"] for a in content["annotations"]} == set(ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a/masks/0.png": b"no image"}, r"a/masks/0\.png: cannot be read as an image"),
        ({"a/masks/0.png": mask_png(size=(9, 8))}, r"a/masks/0\.png: is 8 x 9 pixels, expected 32 x 24 as its image"),
        ({"a/images/b.png": b""}, "image a: 2 images and 3 masks, expected one image and a mask for each nucleus"),
        ({"x/images/x.png": b""}, "image x: 1 images and 0 masks, expected"),
    ],
)
def test_another_archive_than_the_official_one_is_refused(
    tmp_path: Path, change: dict[str, bytes], message: str
) -> None:
    archive = write_zip(tmp_path / "some.zip", members(IDS) | change)
    with pytest.raises(ValueError, match=rf"some\.zip: {message}"):
        write_nuclei(tmp_path / "nuclei", archive)
    assert list((tmp_path / "nuclei").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK no zip"])
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"some\.zip: is damaged \(File is not a zip file\); remove it to download it"):
        write_nuclei(tmp_path / "nuclei", tmp_path / "some.zip")


def test_an_archive_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members(IDS).items():
            archive.writestr(name, content)
        first = archive.infolist()[0]
    content = bytearray(path.read_bytes())
    content[first.header_offset + 30 + len(first.filename)] ^= 0xFF  # of the first block of deflate
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"some\.zip: is damaged \(.*\); remove it to download it again"):
        write_nuclei(tmp_path / "nuclei", path)


def test_an_archive_of_other_files_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "some.zip", {"readme.txt": b""})
    message = r"some\.zip: 0 folders with images, of which none is in train or val; expected ID/images/"
    with pytest.raises(ValueError, match=message):
        write_nuclei(tmp_path / "nuclei", archive)


def test_a_folder_with_some_of_the_files_is_refused(made: Path, tmp_path: Path) -> None:
    assert not is_made(tmp_path / "nothing")
    next((made / "images").iterdir()).unlink()
    with pytest.raises(ValueError, match="contains some of the files, but 1 are missing"):
        is_made(made)
    (made / "instances_val.json").unlink()
    with pytest.raises(ValueError, match=r"1 are missing, such as .*instances_val\.json; expected all or none"):
        is_made(made)
