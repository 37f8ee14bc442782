"""What the check says is what a training and its evaluation do: each file is refused by both or survives both."""

import copy
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.datasets.conftest import BOX, HEIGHT, RECTANGLE, WIDTH, annotation
from tests.core.datasets.whole_use import problems_of, use_for_all

RUNS = [HEIGHT * 4 + 8] + [8, HEIGHT - 8] * 15 + [8, 8 + HEIGHT * 20]  # RECTANGLE, column by column
ENCODING = {"size": [HEIGHT, WIDTH], "counts": RUNS}

ODD = [
    *(None, True, False, 0, 1, -1, 2, 7, 7.0, 0.5, 1e9, -1e9, 2**31, 2**63, 2**64, 10**400, 1e308),
    *(
        math.nan,
        math.inf,
        "",
        "0",
        "7",
        "x" * 300,
        "../7.png",
        "/etc/passwd",
        "a\\b",
        "a\0b",
        "\ud800",
        "\n",
        ".",
        "8.png",
    ),
    *([], {}, [[]], [{}], [None], [[1, 2], [3, 4], [5, 6]], [[1, 1, 2, 2]], [[0, 0, 1, 1, 2, 2]], [[0] * 6]),
    *([0, 0, 1e300, 1e300], [1e9, 0, 0, 5], [0, 0, 2**31 - 1, 5], [0, 0, 0.5, 0.5], [0, 0, WIDTH, HEIGHT]),
    *([[5, 5, 1e9, 5, 5, 1e9]], [[-WIDTH, -HEIGHT, 2 * WIDTH, 0, 0, 2 * HEIGHT]], [[0, 0, 1, 0, 1, "1"]]),
    *({"size": [HEIGHT, WIDTH], "counts": counts} for counts in ("\u00e4", "o" * 99, [HEIGHT * WIDTH], [2**40, -5])),
    {"size": [float(HEIGHT), WIDTH], "counts": RUNS},
]


def content() -> dict[str, Any]:
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in (7, 8)],
        "annotations": [
            annotation(1, segmentation=copy.deepcopy(RECTANGLE)),
            annotation(2, 8, segmentation=copy.deepcopy(ENCODING), category_id=9),
            annotation(3, 8, segmentation=copy.deepcopy(ENCODING), iscrowd=1),
            {"id": 4, "image_id": 8, "category_id": 3, "bbox": [1.5, 2.5, 10, 10]},
        ],
        "categories": [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog"}],
    }


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys or indices."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


@pytest.fixture
def agree(write: Callable[..., Path]) -> Callable[[bytes], bool]:
    """Whether a file with this text passes the check; fails if its use tells otherwise, or raises another error."""
    root = write([], image_ids=(7, 8))
    path, folder = root / "instances_train.json", root / "train"

    def verdicts(text: bytes) -> bool:
        path.write_bytes(text)
        problems = problems_of(path, folder)
        assert all(problem.isprintable() for problem in problems)
        try:
            use_for_all(path, folder)
            refused = None
        except ValueError as error:
            refused = str(error)
            assert str(root) in refused
        assert bool(problems) == bool(refused), (problems, refused)
        return not problems

    return verdicts


def test_a_sound_file_is_found_by_boxes_and_masks(agree, write, tmp_path: Path) -> None:
    assert agree(json.dumps(content()).encode())
    scores = use_for_all(tmp_path / "instances_train.json", tmp_path / "train")
    found = scores.metrics["box_AP"], scores.metrics["mask_AP"]
    assert found == pytest.approx((100, 100))  # every box is found, and the masks fill their boxes


def test_ids_of_64_bits_lose_no_image(agree, tmp_path: Path) -> None:
    of_64_bits = {7: 2**63 + 1, 8: 2**63 + 3}
    renamed = content()
    for image in renamed["images"]:
        image["id"] = of_64_bits[image["id"]]
    renamed["images"].append(renamed["images"][0] | {"id": 2})
    for entry in renamed["annotations"]:
        entry["image_id"] = of_64_bits[entry["image_id"]]
    assert agree(json.dumps(renamed).encode())
    scores = use_for_all(tmp_path / "instances_train.json", tmp_path / "train")
    assert (scores.metrics["box_AP"], scores.metrics["mask_AP"]) == pytest.approx((100, 100))


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        (lambda c: [a.update(iscrowd=1) for a in c["annotations"]], False),
        (lambda c: [a.update(iscrowd=None) for a in c["annotations"]], False),
        (lambda c: [a.update(iscrowd="0") for a in c["annotations"]], False),
        (lambda c: [a.update(iscrowd=False) for a in c["annotations"][:2]], True),
        (lambda c: [a.update(bbox=[v / WIDTH for v in BOX]) for a in c["annotations"]], False),
        (lambda c: c["annotations"][0].update(bbox=[0.1, 0.2, 0.3, 0.4]), True),  # one alone may be that small
        (lambda c: [a.pop("segmentation", None) for a in c["annotations"]], True),
        (lambda c: [a.pop("area", None) for a in c["annotations"]], True),
        (lambda c: c["annotations"][0].update(segmentation=[[0.1, 0.2, 0.9, 0.2, 0.9, 0.8]]), False),
        (lambda c: c["annotations"][0].update(segmentation=[[50, 30, 70, 30, 70, 40]]), False),  # beside the image
        (lambda c: c["annotations"][0].update(segmentation={"size": [HEIGHT, WIDTH], "counts": [960]}), False),
        (lambda c: c["annotations"][0].update(segmentation=[]), True),
        (lambda c: c["annotations"][3].update(segmentation=[[1.2, 2.2, 1.3, 2.2, 1.3, 2.3]], bbox=[1, 2, 1, 1]), True),
        (lambda c: c["categories"][0].update(name="dog"), False),
        (lambda c: c["images"][0].update(width=10**9, height=10**9), False),
        (lambda c: c["images"][0].update(width=HEIGHT, height=WIDTH), False),
        (lambda c: c["annotations"].clear(), False),
        (lambda c: c["images"].clear(), False),
        (lambda c: [c[name].clear() for name in c], False),
        (lambda c: c["annotations"][2].update(bbox=[0, 0, 2e9, 2e9], segmentation=None), False),
        (
            lambda c: c["annotations"][0].update(bbox=[0, 0, 0, 2e9]),
            False,
        ),  # drawn as a crowd's outline
    ],
)
def test_both_say_the_same_of_files_as_tools_export_them(agree, change: Callable[[dict], object], passes: bool) -> None:
    changed = content()
    change(changed)
    assert agree(json.dumps(changed).encode()) == passes


@pytest.mark.parametrize("seed", range(6))
def test_both_say_the_same_of_files_with_an_odd_value_anywhere(agree, seed: int) -> None:
    rng = random.Random(seed)
    passed = 0
    for _ in range(25):
        changed = content()
        container, key = rng.choice(list(places(changed)))
        if rng.random() < 0.2:
            del container[key]
        else:
            container[key] = copy.deepcopy(rng.choice(ODD))
        text = bytearray(json.dumps(changed).encode())
        if rng.random() < 0.1:
            text[rng.randrange(len(text))] = rng.randrange(256)
        passed += agree(bytes(text))
    assert passed < 25
