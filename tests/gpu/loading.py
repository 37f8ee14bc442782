"""How fast photos become batches: on one core, by processes, and how many cores a training step would need."""

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets.coco import CocoDataset, load_training_set
from core.datasets.loader import BatchLoader

PHOTO = (640, 480)  # width and height, px: the usual size on COCO
PER_PHOTO = 7  # instances, COCO's mean
BATCH_SIZE = 2


def loading(device: str, *, small: bool, processes: int, images_per_second: float | None) -> dict[str, Any]:
    """Decode and resize photos as the R-50 recipe does; `images_per_second` are those of a training step, if known."""
    num_photos = 24 if small else 64 * max(processes, 1)
    short_side = 160 if small else 800
    with tempfile.TemporaryDirectory() as folder:
        dataset = _photos(Path(folder), num_photos, short_side)
        per_core = _on_one_core(dataset, min(num_photos, 12 if small else 48))
        by_processes = _by_processes(dataset, processes, device)
    needed = None if images_per_second is None else math.ceil(images_per_second / per_core)
    return {
        "passed": per_core > 0 and by_processes > 0,
        "photo": list(PHOTO),
        "short_side": short_side,
        "images_per_second_and_core": per_core,
        "processes": processes,
        "images_per_second_of_the_loader": by_processes,
        "pinned_memory": torch.device(device).type == "cuda",
        "images_per_second_of_a_step": images_per_second,
        "cores_that_feed_a_step": needed,
    }


def _on_one_core(dataset: CocoDataset, count: int) -> float:
    """Images a second of this process with one thread: read, decode, resize, flip, rasterize."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    started = time.perf_counter()
    for index in range(count):
        dataset[index]
    seconds = time.perf_counter() - started
    torch.set_num_threads(threads)
    return count / seconds


def _by_processes(dataset: CocoDataset, processes: int, device: str) -> float:
    """Images a second on the device, from the arrival of the first batches on; each photo is decoded once.

    Photos that this process holds already (`ImageCache`) are not loaded again: those come first and are not timed.
    """
    batches = [list(range(start, start + BATCH_SIZE)) for start in range(0, len(dataset) - 1, BATCH_SIZE)]
    untimed = len(batches) // 2
    with BatchLoader(dataset, processes) as loader:
        started = time.perf_counter()
        for number, batch in enumerate(loader.load(batches, 0)):
            batch.to(device)
            if number == untimed - 1:
                started = time.perf_counter()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        return BATCH_SIZE * (len(batches) - untimed) / (time.perf_counter() - started)


def _photos(folder: Path, count: int, short_side: int) -> CocoDataset:
    """Photos as JPEG: patches of color with noise, which are about as large as photos of this size."""
    width, height = PHOTO
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    images, annotations = [], []
    for image_id in range(1, count + 1):
        patches = random.integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
        pixels = np.array(Image.fromarray(patches).resize(PHOTO, Image.Resampling.BICUBIC), dtype=np.int16)
        pixels += random.integers(-6, 7, (height, width, 1), dtype=np.int16)
        name = f"{image_id:06}.jpg"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / name, quality=90)
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for _ in range(PER_PHOTO):
            x, y = float(random.uniform(0, width - 130)), float(random.uniform(0, height - 130))
            w, h = (float(side) for side in random.uniform(20, 120, 2))
            outline = [[x, y, x + w, y + h / 2, x + w / 2, y + h]]
            box = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "bbox": [x, y, w, h]}
            annotations.append(box | {"segmentation": outline, "area": w * h / 2, "iscrowd": 0})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "patch"}]}
    (folder / "instances_train.json").write_text(json.dumps(content))
    data = {"root": str(folder), "train_images": "images", "train_annotations": "instances_train.json"}
    changes = {"data": data | {"short_sides": [short_side]}, "model": {"backbone": {"weights": None}}}
    config = build_config(merge(load_recipe("coco_r50_1x"), changes), "recipe coco_r50_1x")
    return load_training_set(config.data, config.supervision, seed=0)
