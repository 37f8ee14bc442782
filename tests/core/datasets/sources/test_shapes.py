import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from core.config.recipe import load_recipe
from core.datasets.sources.shapes import NUM_IMAGES, generate

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def pinned() -> Callable[[str], bytes]:
    """Reads a file of datasets/ from where data.dvc imports it: in this repository, no `dvc repro` is needed."""
    content = yaml.safe_load((ROOT / "data.dvc").read_text())
    (source,), (output,) = content["deps"], content["outs"]
    assert output["path"] == "datasets/shapes"
    return lambda path: (ROOT / source["path"] / Path(path).relative_to("shapes")).read_bytes()


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory) -> Path:
    """The first images of each split, drawn anew."""
    root = tmp_path_factory.mktemp("shapes") / "shapes"
    generate(root, dict.fromkeys(NUM_IMAGES, 16))
    return root


@pytest.mark.parametrize("split", NUM_IMAGES)
def test_the_generator_reproduces_the_pinned_annotations_exactly(pinned, regenerated, split):
    expected = json.loads(pinned(f"shapes/instances_{split}.json"))
    found = json.loads((regenerated / f"instances_{split}.json").read_text())
    assert len(expected["images"]) == NUM_IMAGES[split]
    assert found["images"] == expected["images"][:16]
    assert found["annotations"] == expected["annotations"][: len(found["annotations"])]
    assert expected["annotations"][len(found["annotations"])]["image_id"] == 17
    for section in ("categories", "info", "licenses"):
        assert found[section] == expected[section]


def test_studies_report_many_images() -> None:
    data = load_recipe("shapes")["data"]
    assert (data["val_images"], data["val_annotations"]) == ("test", "instances_test.json")
    assert NUM_IMAGES["test"] >= 1000


@pytest.mark.parametrize("split", NUM_IMAGES)
def test_the_generator_reproduces_the_pinned_pixels(pinned, regenerated, split):
    for image_id in range(1, 17):
        name = f"{split}/{image_id:06}.jpg"
        expected, found = (
            np.asarray(Image.open(source), dtype=int)
            for source in (io.BytesIO(pinned(f"shapes/{name}")), regenerated / name)
        )
        assert np.abs(found - expected).max() <= 2, name
