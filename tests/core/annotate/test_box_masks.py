"""Masks of given boxes: by a network, whose classes are matched by name, and by GrabCut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.annotate.__main__ import main
from core.checkpoints.network import load_checkpoint_network
from core.datasets.annotation_file import AnnotationFile
from core.datasets.batch import collate
from core.pseudo_masks.given_boxes import resized
from tests.boxinst.conftest import MASK_RCNN, noise, write_checkpoint
from tests.core.annotate.given_boxes import fill, pixels, write
from tests.core.pseudo_masks.test_teacher import HEIGHT, WIDTH


def test_grabcut_cuts_masks_out_of_boxes_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = np.full((HEIGHT, WIDTH, 3), 60, dtype=np.uint8)
    photo[8:24, 4:20] = (200, 40, 40)
    (tmp_path / "photos").mkdir()
    noisy = photo + np.random.default_rng(0).integers(0, 9, photo.shape, dtype=np.uint8)
    Image.fromarray(noisy).save(tmp_path / "photos" / "a.png")
    entry = {"image_id": 1, "category_id": 3}
    boxes = [entry | {"id": 5, "bbox": [2, 6, 20, 20]}, entry | {"id": 6, "bbox": [40, 4, 3, 3]}]
    images = [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}]
    write(tmp_path, {"images": images, "annotations": boxes, "categories": [{"id": 3, "name": "thing"}]})
    words = ["--grabcut", "--images", tmp_path / "photos", "--out", tmp_path / "out"]
    assert main([*map(str, words), f"--boxes={tmp_path / 'boxes.json'}"]) == 0
    assert np.array_equal(pixels(tmp_path, 5), (photo == (200, 40, 40)).all(2))
    assert pixels(tmp_path, 6).sum() == 9  # too small for color statistics
    assert "1 of them the filled box (mask_source: box): 1 with no foreground" in capsys.readouterr().out


def two_classes(names: list[str]) -> dict[str, Any]:
    boxes = [[5, 5, 60, 60], [40, 20, 70, 50]]
    annotations = [
        {"id": i, "image_id": 1, "category_id": i, "bbox": box, "iscrowd": 0} for i, box in enumerate(boxes, 1)
    ]
    images = [{"id": 1, "file_name": "a.png", "width": 120, "height": 80}]
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
    return {"images": images, "categories": categories, "annotations": annotations}


@pytest.mark.parametrize("architecture", ["condinst", "mask_rcnn"])
def test_classes_are_matched_by_name_and_one_that_is_unknown_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, architecture: str
) -> None:
    write_checkpoint(tmp_path, **(MASK_RCNN if architecture == "mask_rcnn" else {}))  # of the classes cat and dog
    (tmp_path / "photos").mkdir()
    Image.fromarray(noise(80, 120)).save(tmp_path / "photos" / "a.png")
    masks, told = {}, {}
    for names in (["cat", "dog"], ["dog", "cat"], ["bird", "dog"]):
        caplog.clear()
        write(tmp_path, two_classes(names))
        fill(tmp_path, out=names[0])
        masks[names[0]] = [pixels(tmp_path, i, names[0]) for i in (1, 2)]
        told[names[0]] = caplog.text

    def equal(first: str, second: str, box: int) -> bool:
        return np.array_equal(masks[first][box], masks[second][box])

    assert told["cat"] == told["dog"] == ""
    assert "the checkpoint does not know 'bird'; it knows 'cat', 'dog'" in told["bird"]
    assert equal("cat", "bird", 1)  # a dog in both
    if architecture == "condinst":
        assert equal("cat", "dog", 0)
        assert equal("cat", "bird", 0)
        assert "which in CondInst do not depend on the class" in told["bird"]
    else:
        assert not equal("cat", "dog", 0)
        assert not equal("cat", "dog", 1)
        assert equal("bird", most_probable(tmp_path), 0)
        assert "these boxes get that of the likeliest" in told["bird"]


def most_probable(folder: Path) -> str:
    """The class, here the name of a result, that Mask R-CNN finds most probable for the first box."""
    model, settings, categories = load_checkpoint_network(folder / "checkpoint.pt", device="cpu")
    record = AnnotationFile.read(folder / "boxes.json", folder / "photos").images[0]
    batch = collate([resized(record, Image.open(folder / "photos" / "a.png"), settings.data)])
    with torch.inference_mode():
        regions = model(batch.images, batch.image_sizes)
        return categories[int(model.most_probable_classes(regions, 0, batch.annotations[0].boxes)[0])]["name"]
