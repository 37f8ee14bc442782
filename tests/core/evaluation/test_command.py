"""The command: from a checkpoint of either kind and a folder of images to numbers and files, and what it refuses."""

import contextlib
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from core.checkpoints.checkpoint import save_checkpoint
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.evaluation import detection
from core.evaluation.__main__ import main
from core.model.build import build_model
from tests.core.released_networks import NUM_CLASSES, synthetic_tensors

HEIGHT, WIDTH = 64, 96
NAMES = ("circle", "star")


def write_images(root: Path, *, folder: str, count: int, num_classes: int = 2) -> dict:
    """Noise images in `root/folder`; content of a COCO file with one annotated rectangle in each."""
    (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(1, count + 1):
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / folder / f"{i}.png")
    names = NAMES if num_classes == 2 else [f"class {i}" for i in range(num_classes)]
    outline = [[8, 8, 40, 8, 40, 48, 8, 48]]
    shared = {"category_id": 1, "bbox": [8, 8, 32, 40], "area": 32 * 40, "iscrowd": 0, "segmentation": outline}
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in range(1, count + 1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names, 1)],
        "annotations": [{"id": i, "image_id": i} | shared for i in range(1, count + 1)],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Data of the recipe `tiny`, its annotation file and images where the recipe expects them."""
    content = write_images(tmp_path / "data", folder="val", count=4)
    (tmp_path / "data" / "instances_val.json").write_text(json.dumps(content))
    return tmp_path / "data"


def write_checkpoint(path: Path, names: tuple[str, ...] = NAMES, model: dict | None = None) -> Path:
    """An untrained network of the recipe `tiny` that finds an object of two strides at half of all places."""
    settings = merge(load_recipe("tiny"), {"model": {"class_prior": 0.5} | (model or {})})
    config = build_config(settings, "test")
    torch.manual_seed(0)
    network = build_model(config.model, len(names))
    torch.nn.init.constant_(network.head.ltrb.bias, 1.0)
    state = {"model": network.state_dict(), "categories": list(names), "curves": []}
    save_checkpoint(path, state, config=config, seed=0, data_digest="d")
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint.pt")


@pytest.fixture
def command(root: Path, checkpoint: Path, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """Runs the command with further options; exit code, output, errors."""

    def run(*options: str, recipe: str = "tiny", checkpoint: Path = checkpoint) -> tuple[int, str, str]:
        given = ["--recipe", recipe, "--checkpoint", str(checkpoint), "--data-root", str(root), "--device", "cpu"]
        code = main([*given, "--loader-processes", "0", *options])
        printed = capsys.readouterr()
        return code, printed.out, printed.err.split("\r")[-1].strip()  # behind the progress bar

    return run


def test_checkpoint_of_ours_gives_numbers_and_files_that_pycocotools_loads(command, root: Path, tmp_path: Path) -> None:
    code, out, _ = command("--output", str(tmp_path / "out"), "--per-class")
    assert code == 0
    header, numbers, classes, *written = out.strip().split("\n\n")
    assert header.startswith(f"tiny, {tmp_path}/checkpoint.pt: 4 images, 40 detections, ")
    assert len(numbers.splitlines()) == 13
    assert [line.split()[0] for line in classes.splitlines()[1:]] == list(NAMES)
    assert written == [f"wrote {tmp_path}/out/{kind}.json" for kind in ("bbox", "segm")]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(root / "instances_val.json"))
        for kind in ("bbox", "segm"):
            assert len(truth.loadRes(str(tmp_path / "out" / f"{kind}.json")).anns) == 40


def test_limit_and_settings_change_what_is_done(command, tmp_path: Path) -> None:
    options = ("--limit", "3", "--set", "inference.max_detections=4", "--set", "data.val_short_side=32")
    code, out, _ = command(*options, "--batch-size", "2", "--output", str(tmp_path))
    assert code == 0
    found = Counter(result["image_id"] for result in json.loads((tmp_path / "segm.json").read_text()))
    assert f" 3 images, {found.total()} detections, " in out
    assert set(found) == {1, 2, 3}
    assert max(found.values()) == 4


def test_the_network_computes_in_the_precision_of_the_recipe(command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = set()
    monkeypatch.setattr(detection, "autocast", lambda *given: asked_for.add(given) or contextlib.nullcontext())
    for precision in ("float32", "bfloat16"):
        assert command("--set", f"training.precision={precision}", "--limit", "1")[0] == 0
    assert asked_for == {("float32", "cpu"), ("bfloat16", "cpu")}


def test_other_annotations_and_images_than_the_recipe_names(command, tmp_path: Path) -> None:
    content = write_images(tmp_path / "elsewhere", folder="photos", count=1)
    (tmp_path / "elsewhere" / "one.json").write_text(json.dumps(content))
    given = ("--annotations", str(tmp_path / "elsewhere" / "one.json"))
    code, out, _ = command(*given, "--images", str(tmp_path / "elsewhere" / "photos"))
    assert code == 0
    assert " 1 images, " in out


def test_test_images_without_annotations_become_the_files_of_the_server(command, root: Path, tmp_path: Path) -> None:
    content = write_images(root, folder="test2017", count=2)
    del content["annotations"]
    (root / "annotations").mkdir()
    (root / "annotations" / "image_info_test-dev2017.json").write_text(json.dumps(content))
    code, out, _ = command("--split", "test-dev", "--output", str(tmp_path / "out"), "--name", "ours-r50")
    assert code == 0
    assert "AP" not in out
    stem = "detections_test-dev2017_ours-r50_results"
    for kind, key in (("bbox", "bbox"), ("segm", "segmentation")):
        with ZipFile(tmp_path / "out" / kind / f"{stem}.zip") as archive:
            results = json.loads(archive.read(f"{stem}.json"))
        assert len(results) == 20
        assert all(key in result for result in results)
    assert "expected --output DIR" in command("--split", "test-dev")[2]


def test_network_of_other_classes_than_the_data_has_says_both_numbers(command, tmp_path: Path) -> None:
    three = write_checkpoint(tmp_path / "three.pt", ("circle", "star", "cross"))
    code, out, err = command(checkpoint=three)
    assert (code, out) == (2, "")
    assert err == f"error: {three}: network has 3 classes, but the data has 2 (circle, star)"
    swapped = write_checkpoint(tmp_path / "swapped.pt", ("star", "circle"))
    assert (
        "trained on other classes than the data has: found 'star', expected 'circle'" in command(checkpoint=swapped)[2]
    )


def test_checkpoint_of_ours_of_another_network_says_which_settings_differ(command, tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "other.pt", model={"mask_feature_channels": 8, "head_convs": 2})
    code, _, err = command(checkpoint=other)
    assert code == 2
    assert err == (
        f"error: {other}: network differs from the recipe's: model.head_convs is 2 instead of 1, "
        "model.mask_feature_channels is 8 instead of 16"
    )
    assert command("--set", "model.mask_feature_channels=8", "--set", "model.head_convs=2", checkpoint=other)[0] == 0


def test_missing_images_are_counted_and_the_first_named(command, root: Path) -> None:
    for name in ("2.png", "4.png"):
        (root / "val" / name).unlink()
    code, _, err = command()
    assert code == 2
    expected = f"{root}/val: 2 of the 4 images of {root}/instances_val.json are missing: 2.png, 4.png"
    assert err == f"error: {expected}"
    (root / "instances_val.json").unlink()
    assert command()[2] == f"error: {root}/instances_val.json: cannot be read (No such file or directory)"


def test_missing_test_images_and_a_broken_list_are_named(command, root: Path) -> None:
    options = ("--split", "test-dev", "--output", str(root / "out"))
    assert "image_info_test-dev2017.json: cannot be read" in command(*options)[2]
    content = write_images(root, folder="test2017", count=2)
    del content["annotations"]
    path = root / "annotations" / "image_info_test-dev2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    (root / "test2017" / "1.png").unlink()
    assert command(*options)[2] == f"error: {root}/test2017: 1 of the 2 images of {path} are missing: 1.png"
    path.write_text("[]")
    assert command(*options)[2].startswith(f"error: {path}: expected a list of objects under 'categories'")
    assert not (root / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "inference.max_detection=4"), "unknown key 'inference.max_detection' (did you mean"),
        (("--set", "inference.max_detections"), "expected NAME=VALUE"),
        (("--set", "inference.max_detections=[4"), "not valid YAML"),
        (("--batch-size", "0"), "inference.batch_size: Input should be greater than or equal to 1, found 0"),
        (("--limit", "0"), "--limit is 0, expected at least 1"),
        (("--name", "a/b"), "name of the submission is 'a/b'"),
        (("--loader-processes", "-1"), "num_workers"),
    ],
)
def test_bad_options_end_with_code_2_and_a_word(command, options: tuple[str, ...], message: str) -> None:
    code, out, err = command(*options)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err


def test_unknown_recipe_and_unreadable_checkpoint_are_named(command, tmp_path: Path) -> None:
    assert "recipe 'smok': no file" in command(recipe="smok")[2]
    assert "nowhere.pth: cannot be read (No such file" in command(checkpoint=tmp_path / "nowhere.pth")[2]
    (tmp_path / "text.pth").write_text("no checkpoint")
    assert "text.pth: not a torch file" in command(checkpoint=tmp_path / "text.pth")[2]
    torch.save({"format": 99}, tmp_path / "newer.pt")
    assert "newer.pt: expected a checkpoint of format" in command(checkpoint=tmp_path / "newer.pt")[2]


def test_checkpoint_in_adelaidets_format_is_evaluated_and_refused_where_it_does_not_fit_golden(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    root = tmp_path / "coco"
    content = write_images(root, folder="val2017", count=1, num_classes=NUM_CLASSES)
    (root / "annotations").mkdir()
    path = root / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps(content))
    torch.save({"model": synthetic_tensors("boxinst"), "iteration": 90000}, tmp_path / "MS_R_50_1x.pth")
    given = ["--checkpoint", str(tmp_path / "MS_R_50_1x.pth"), "--data-root", str(root), "--device", "cpu"]
    given += ["--loader-processes", "0", "--set", "data.val_short_side=64", "--output", str(tmp_path / "out")]
    assert main(["--recipe", "coco_r50_1x", *given]) == 0  # without the ImageNet weights that the recipe names
    assert " 1 images, " in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "segm.json").read_text())
    assert len(results) > 10
    assert {tuple(result["segmentation"]["size"]) for result in results} == {(HEIGHT, WIDTH)}

    assert main(["--recipe", "condinst_coco_r50_1x", *given]) == 2
    assert "model.mask_feature_channels 16 (BoxInst) instead of 8 (CondInst)" in capsys.readouterr().err
    assert main(["--recipe", "coco_r50_1x", *given, "--set", "model.architecture=mask_rcnn"]) == 2
    assert "an AdelaiDet checkpoint, but model.architecture is mask_rcnn, expected condinst" in capsys.readouterr().err
    path.write_text(json.dumps(content | {"categories": [{"id": 1, "name": "shape"}]}))
    assert main(["--recipe", "coco_r50_1x", *given]) == 2
    assert "MS_R_50_1x.pth: network has 80 classes, but the data has 1 (shape)" in capsys.readouterr().err
