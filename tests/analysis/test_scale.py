import pytest

from analysis.published import read_published
from analysis.scale import beside_published, scale_sentence
from tests.analysis.made_up import record_of

PEOPLE = {
    "name": "people",
    "data": {"root": "/home/someone/people", "val_short_side": 256, "long_side_max": 256},
    "model": {"backbone": {"name": "resnet18", "weights": "file"}},
    "training": {"epochs": 15},
}


def sentence(*configs, device="cpu"):
    return scale_sentence([record_of(config, device=device) for config in configs], read_published())


def test_the_sentence_names_the_scale_and_hides_where_the_data_lies():
    assert sentence(PEOPLE) == (
        "Recipe `people`: data `people` (short side 256, long at most 256 px), backbone R-18 with pretrained weights, "
        "15 epochs, device cpu. Evidence about the order of the arms and the gaps between them at this scale, NOT COCO "
        "numbers."
    )
    assert "unknown" in scale_sentence([], read_published())


@pytest.mark.parametrize("name", ["coco_r50_1x", "mine"])
def test_the_settings_decide_whether_published_numbers_compare_not_the_recipe_s_name(coco_config, name):
    assert "the published numbers are comparable" in sentence(coco_config(name=name))
    for other in (coco_config(name=name, steps=10), coco_config(name=name, short_side=160)):
        assert "NOT comparable with published numbers" in sentence(other)
    assert "NOT COCO numbers" in sentence(PEOPLE | {"name": name})
    assert "NOT comparable with published numbers" in sentence(coco_config(name=name), coco_config(name=name, steps=10))


def test_arms_that_are_recipes_are_all_named(coco_config):
    text = sentence(coco_config(), coco_config(name="coco_r101_3x", depth=101, steps=270_000))
    assert text.startswith("Recipes `coco_r50_1x`, `coco_r101_3x`: data `coco` (short side 800, long at most 1333 px)")
    assert (
        "R-50 with pretrained weights, backbone R-101 with pretrained weights, 90000 steps, 270000 steps, device cpu"
        in text
    )
    assert "are comparable" in text


@pytest.mark.parametrize(("weights", "start"), [
    (None, "from scratch"), ("package:shapes_trunk", "pretrained with boxes on other generated images"),
    ("weights/R-50.pkl", "with pretrained weights"),
])  # fmt: skip
def test_what_the_trunk_starts_from_is_named(weights, start):
    model = PEOPLE["model"]
    config = PEOPLE | {"model": model | {"backbone": model["backbone"] | {"weights": weights}}}
    assert f" {start}, 15 epochs" in sentence(config)


def test_a_trial_whose_process_died_has_no_device():
    assert "device not recorded." in sentence(PEOPLE, device=None)


def test_the_precision_in_which_the_network_computed_stands_with_the_device():
    device = "cpu x86_64 AVX2"
    records = [record_of(PEOPLE, device=device, precision=precision) for precision in ("float32", "bfloat16")]
    text = scale_sentence(records, read_published())
    assert "device cpu x86_64 AVX2 in float32, cpu x86_64 AVX2 in bfloat16." in text


def test_what_ours_are_among_published_numbers_follows_from_the_settings(coco_config):
    published = read_published()
    shapes = PEOPLE | {"name": "coco_like", "data": PEOPLE["data"] | {"root": "data/shapes"}}
    assert beside_published([coco_config(name="mine")], published) == "our run of a published setting"
    assert "that no published number has, not comparable" in beside_published([coco_config(steps=10)], published)
    assert beside_published([shapes], published) == "on generated shapes, not comparable"
    assert beside_published([PEOPLE], published) == "on `people`, not comparable"


def test_a_backbone_that_starts_from_several_weights_is_named_once():
    starts = [{"name": "resnet18", "weights": weights} for weights in ("package:shapes_trunk", "w.pt", None, None)]
    text = sentence(*(PEOPLE | {"model": {"backbone": backbone}} for backbone in starts))
    listed = "pretrained with boxes on other generated images or with pretrained weights or from scratch"
    assert f", backbone R-18 {listed}, 15 epochs" in text
