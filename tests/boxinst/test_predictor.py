"""The predictor: numpy arrays in the image's pixels, equal to what the commands give."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from boxinst import Prediction, Predictor
from boxinst.image import rgb_image
from core.annotate.detected import annotate
from core.annotate.output import ANNOTATIONS
from core.compute.compute import Compute
from core.evaluation.__main__ import main as evaluate
from tests.boxinst.conftest import SETTINGS, noise


def assert_equal(first: Prediction, second: Prediction) -> None:
    for name in ("boxes", "scores", "labels", "masks"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert first.class_names == second.class_names


def test_a_prediction_is_numpy_in_the_pixels_of_the_image_best_first(predictor: Predictor) -> None:
    found = predictor(noise(80, 120))
    count = len(found.scores)
    assert count == 17
    assert set(found.class_names) == {"cat", "dog"}
    assert predictor.classes == ("cat", "dog")
    assert found.class_names == [predictor.classes[label] for label in found.labels]
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)
    assert (found.masks.shape, found.masks.dtype) == ((count, 80, 120), bool)
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [120, 80, 120, 80]).all()
    assert (np.diff(found.scores) <= 0).all()


def test_the_detections_are_those_of_annotate_to_the_bit(predictor: Predictor, folder: Path) -> None:
    annotate(folder / "checkpoint.pt", folder / "photos", folder / "out", Compute(), min_score=0.0)
    theirs = json.loads((folder / "out" / ANNOTATIONS).read_text())["annotations"]
    assert theirs
    assert_same_detections(predictor(folder / "photos" / "a.png"), theirs, theirs)


def test_the_detections_are_those_of_the_evaluation_to_the_bit(
    predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 120, "height": 80}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 50, 50], "area": 2500, "iscrowd": 0,
             "segmentation": [[9, 9, 59, 9, 59, 59]]}
        ],
    }  # fmt: skip
    (tmp_path / "instances.json").write_text(json.dumps(content))
    changes = [f"--set={name}={json.dumps(value)}" for section, values in SETTINGS.items() for name, value in
               ((f"{section}.{key}", value) for key, value in values.items())]  # fmt: skip
    options = ["--recipe", "coco_r50_1x", "--checkpoint", folder / "checkpoint.pt", "--images", folder / "photos"]
    options += ["--annotations", tmp_path / "instances.json", "--output", tmp_path, "--device", "cpu"]
    assert evaluate([*map(str, options), "--loader-processes=0", *changes]) == 0
    theirs = [json.loads((tmp_path / f"{kind}.json").read_text()) for kind in ("bbox", "segm")]
    assert_same_detections(predictor(folder / "photos" / "a.png"), *theirs)


def assert_same_detections(found: Prediction, boxes: list[dict], masks: list[dict]) -> None:
    assert [box["score"] for box in boxes] == found.scores.tolist()
    assert [box["category_id"] - 1 for box in boxes] == found.labels.tolist()
    sides = found.boxes.copy()
    sides[:, 2:] -= sides[:, :2]
    assert [box["bbox"] for box in boxes] == sides.tolist()
    assert np.array_equal([coco_mask.decode(mask["segmentation"]) for mask in masks], found.masks)


def test_file_picture_and_array_are_one_image(predictor: Predictor, folder: Path) -> None:
    path = folder / "photos" / "a.png"
    expected = predictor(path)
    for image in (str(path), Image.open(path), np.asarray(Image.open(path)), Image.open(path).convert("RGBA")):
        assert_equal(predictor(image), expected)


def test_gray_is_the_same_as_rgb_of_equal_channels(predictor: Predictor) -> None:
    gray = noise(40, 50)[..., 0]
    assert_equal(predictor(gray), predictor(np.stack([gray] * 3, axis=2)))
    assert_equal(predictor(Image.fromarray(gray)), predictor(gray))


def test_a_file_is_turned_upright_and_a_picture_is_taken_as_it_is(predictor: Predictor, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(noise(80, 120)).save(tmp_path / "turned.png", exif=exif)
    assert predictor(tmp_path / "turned.png").masks.shape[1:] == (120, 80)
    assert predictor(Image.open(tmp_path / "turned.png")).masks.shape[1:] == (80, 120)


def test_instances_below_the_score_are_left_out(predictor: Predictor) -> None:
    everything = predictor(noise(80, 120))
    best = predictor(noise(80, 120), min_score=everything.scores[1].item())
    assert np.array_equal(best.scores, everything.scores[:2])
    assert np.array_equal(best.masks, everything.masks[:2])
    none = predictor(noise(80, 120), min_score=1.0)
    assert (none.boxes.shape, none.scores.shape, none.masks.shape) == ((0, 4), (0,), (0, 80, 120))


def test_a_list_gives_a_list_and_batches_of_one_size_change_nothing_that_matters(predictor: Predictor) -> None:
    images = [noise(64, 96), noise(64, 96)[::-1], noise(64, 96)[:, ::-1]]
    one_by_one = [predictor(image) for image in images]
    for found, expected in zip(predictor(images), one_by_one, strict=True):
        assert_equal(found, expected)
    for found, expected in zip(predictor(images, batch_size=2), one_by_one, strict=True):
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)
    assert predictor([]) == []


WRONG_IMAGES = {
    "array of float32, expected uint8": np.zeros((8, 8, 3), dtype=np.float32),
    r"shape \(3, 8, 8\), expected \(height, width, 3\)": np.zeros((3, 8, 8), dtype=np.uint8),
    r"shape \(0, 8, 3\), expected at least one pixel": np.zeros((0, 8, 3), dtype=np.uint8),
    "mode I;16, expected 8 bits": Image.new("I;16", (8, 8)),
    r"missing\.jpg: cannot be read as an image": "missing.jpg",
}


@pytest.mark.parametrize(("message", "image"), WRONG_IMAGES.items())
def test_wrong_images_are_named(predictor: Predictor, message: str, image: Any) -> None:
    with pytest.raises(ValueError, match=message):
        predictor(image)
    with pytest.raises(ValueError, match=f"image 1 of the list: .*{message}"):
        predictor([noise(8, 8), image])


def test_a_truncated_image_is_named(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(noise(80, 120)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"cut\.png: cannot be read as an image"):
        predictor(path)
    with pytest.raises(ValueError, match="image cannot be decoded"):
        predictor(Image.open(path))


def test_what_is_no_image_is_named() -> None:
    with pytest.raises(ValueError, match="image is a NoneType, expected a path"):
        inspect.unwrap(rgb_image)(None)  # without the tests' check of types


def test_what_is_no_checkpoint_and_no_device_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.png"):
        Predictor(folder / "photos" / "a.png")
    with pytest.raises(ValueError, match="device is 'tpu'"):
        Predictor(folder / "checkpoint.pt", device="tpu")
    with pytest.raises(ValueError, match="batch_size is 0"):
        Predictor(folder / "checkpoint.pt", device="cpu")([], batch_size=0)


@pytest.mark.gpu
def test_on_a_gpu_it_finds_what_it_finds_on_the_cpu(predictor: Predictor, folder: Path) -> None:
    on_gpu = Predictor(folder / "checkpoint.pt", device="cuda")
    found, expected = (each(noise(80, 120)) for each in (on_gpu, predictor))
    np.testing.assert_allclose(found.scores[:5], expected.scores[:5], rtol=1e-2)
    np.testing.assert_allclose(found.boxes[:5], expected.boxes[:5], atol=0.5)
