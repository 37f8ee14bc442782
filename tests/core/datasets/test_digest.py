"""The data's fingerprint: what is read counts, where it lies and how it is seen does not."""

import json
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from core.config import DataConfig
from core.datasets.coco import read_training_file, read_validation_file
from core.datasets.digest import data_digest
from tests.core.datasets.conftest import HEIGHT, WIDTH, annotation


def config(root: Path, **fields) -> DataConfig:
    files = {"train_images": "train", "train_annotations": "instances_train.json"}
    files |= {"val_images": "train", "val_annotations": "instances_train.json"}
    return DataConfig(root=str(root), **files | fields)


def digest_of(data: DataConfig) -> str:
    return data_digest(read_training_file(data), read_validation_file(data))


def test_the_digest_changes_with_annotations_and_pixels_and_with_nothing_else(write, tmp_path):
    root = write([annotation()])
    digest = digest_of(config(root))
    assert len(digest) == 16
    (root / "train" / "unnamed.png").write_bytes(b"no annotation names this file")
    assert digest_of(config(root, flip_probability=0.5)) == digest
    image = root / "train" / "7.png"
    content = image.read_bytes()
    Image.new("RGB", (WIDTH, HEIGHT)).save(image)
    assert digest_of(config(root)) != digest
    image.write_bytes(content)
    assert digest_of(config(root)) == digest
    path = root / "instances_train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"info": {"note": "other"}}))
    assert digest_of(config(root)) != digest


def test_a_missing_image_is_named_with_its_file(write):
    root = write([annotation()])
    (root / "train" / "7.png").unlink()
    with pytest.raises(ValueError, match=r"(?s)instances_train\.json: .*image 7: no file .*7\.png"):
        digest_of(config(root))


@pytest.mark.parametrize("size", [(WIDTH + 1, HEIGHT), (HEIGHT, WIDTH)])
def test_a_photo_of_another_size_than_its_annotations_say_is_named_with_their_file(write, size) -> None:
    root = write([annotation()])
    Image.new("RGB", size).save(root / "train" / "7.png")
    with pytest.raises(ValueError, match=r"instances_train\.json: image 7: .*7\.png: is \d+ x \d+ pixels, .* 40 x 24"):
        digest_of(config(root))


def test_a_photo_that_is_turned_to_its_annotated_size_is_taken(write) -> None:
    root = write([annotation()])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(root / "train" / "7.png", exif=exif)
    assert len(digest_of(config(root))) == 16
