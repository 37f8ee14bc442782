"""The training that a data set asks for, and its command."""

import shlex

import pytest

from core.config.file import build_config, merge
from core.config.recipe import changes_of, load_recipe
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.expected_cost import ExpectedCost
from core.datasets.check.recommendations import ViewSize
from core.datasets.check.training_plan import MOST_MINUTES, affordable, as_yaml, plan_training
from core.datasets.layout import Layout
from core.train import build_parser
from tests.core.datasets.conftest import annotation

CONFIG = build_config(load_recipe("own"), "own")
LAYOUT = Layout("instances_train.json", "train", "instances_val.json", "my photos")
SIZES = [ViewSize(side, 0.5) for side in (256, 320, 384, 448, 512)]


def cost(minutes=1.0, memory_mb=10.0):
    return ExpectedCost(minutes, memory_mb, "cpu", 2, 1200)


@pytest.fixture
def file(write):
    """Fourteen boxes of 20 px, nine of 100 px, on photos of 640 x 480 px."""
    boxes = [annotation(i, i, bbox=[10, 10, 20, 20]) for i in range(14)]
    boxes += [annotation(14 + i, i, bbox=[10, 10, 100, 100]) for i in range(9)]
    images = [{"id": i, "file_name": f"{i}.png", "width": 640, "height": 480} for i in range(20)]
    root = write(boxes, image_ids=tuple(range(20)), images=images)
    return AnnotationFile.read(root / "instances_train.json", root / "train")


def plan(file, root, **options):
    return plan_training(file, CONFIG, root, LAYOUT, recipe="own", **options)


def test_the_command_can_be_pasted_and_is_read_as_it_was_meant(file, tmp_path):
    root = tmp_path / "it's my set (new)"
    found = plan(file, root, threads=1)
    words = shlex.split(found.command)
    assert words[:3] == ["python", "-m", "core.train"]
    options = build_parser().parse_args(words[3:])
    assert (options.recipe, options.data_root, options.threads) == ("own", str(root), 1)
    assert str(options.folder) == "runs/it's my set (new)"
    assert options.epochs == 1200  # 14 photos with boxes: one step an epoch
    trained = build_config(merge(load_recipe("own"), changes_of(options.changes)), "command")
    assert trained.data.short_sides == (640,)
    assert (trained.data.val_short_side, trained.data.long_side_max) == (640, 640)
    assert trained.data.scale_range == (1, 2)
    assert trained.loss.pairwise_warmup == 1
    assert (trained.data.train_images, trained.data.val_images) == ("train", "my photos")
    assert trained.training.evaluate_every == 400
    assert found.data.long_side_max == 640


def test_the_lines_say_why(file, tmp_path):
    lines = plan(file, tmp_path).lines
    assert [line.split()[0] for line in lines] == ["views", "epochs", "classes"]
    assert lines[1] == "epochs      1200: 14 photos with boxes, 8 a step, make 1,200 steps"
    assert lines[2] == "classes     2: dog (23 boxes), cat (0 boxes)"
    asked = []
    lines = plan(file, tmp_path, measure=lambda options: asked.append(options) or cost(24.0)).lines
    assert lines[-1] == "cost        about 25 minutes on this CPU with 2 threads, 0.0 GB of memory"
    (options,) = asked
    assert "training.epochs=1200" in options
    assert "data.short_sides=[640]" in options
    assert plan(file, tmp_path, measure=lambda options: None).lines[-1].startswith("cost        does not fit into")


def test_boxes_that_stay_small_are_counted(file, tmp_path):
    lines = plan(file, tmp_path, measure=lambda options: cost(1e4)).lines  # only the recipe's 256 px are left
    assert lines[0].startswith("views       256 px: 61% of the boxes are under 24 px there; larger: 640 px would take")
    assert lines[1].startswith("            61% stay under 16 px; objects under about 16 px are mostly missed")


def test_a_failed_measurement_costs_only_its_line(file, tmp_path):
    def fail(options):
        raise ValueError("no such package")

    found = plan(file, tmp_path, measure=fail)
    assert found.lines[-1] == "cost        not measured: no such package"
    assert found.data.long_side_max == 640


def test_the_largest_size_that_is_worth_its_cost_is_taken():
    minutes = {256: 11.0, 320: 17.0, 384: 25.0, 448: 34.0, 512: 50.0}
    tried = []
    chosen, found, refused = affordable(SIZES, lambda size: tried.append(size.side) or cost(minutes[size.side]))
    assert (chosen.side, found, refused) == (448, cost(34.0), "512 px would take 50 minutes, 0.0 GB")
    assert tried == [512, 448]
    chosen, _, _ = affordable(SIZES, lambda size: cost(16 * MOST_MINUTES * (size.side / 512) ** 2))
    assert chosen.side == 256  # the recipe's, whatever it costs


def test_memory_limits_the_size_too():
    chosen, _, refused = affordable(SIZES, lambda size: cost(memory_mb=1e9) if size.side > 400 else cost())
    assert (chosen.side, refused) == (256, "512 px would take a minute, 976562.5 GB")
    chosen, found, refused = affordable(SIZES, lambda size: None)
    assert (chosen.side, found, refused) == (256, None, "512 px would take more memory than is free")
    assert affordable(SIZES, None) == (SIZES[-1], None, "")


@pytest.mark.parametrize("value", ["photos", "my photos", "2017", "yes: no", "[a]", "null", "#1", "é", ""])
def test_names_are_read_as_text(value):
    assert changes_of([f"data.root={as_yaml(value)}"]) == {"data": {"root": value}}
    assert (as_yaml(value) == value) == (value in ("photos", "my photos", "é"))
