import pandas as pd
import pytest

from analysis.published import (
    COLUMNS,
    PUBLISHED_CSV,
    STATUS_MEANINGS,
    network_name,
    published_for,
    read_published,
    same_setting,
    split_of,
    with_released_models,
)


def test_every_row_has_a_status_and_a_source_and_no_row_stands_twice():
    published = read_published()  # raises where one has not
    assert set(published["status"]) == set(STATUS_MEANINGS)
    assert published["value"].dropna().between(0, 100).all()
    assert set(published["metric"]) <= {
        *(f"{kind}_AP{size}" for kind in ("mask", "box") for size in ("", *"sml", "50", "75")),
        "mask_AP_unseen",  # of the categories without masks
    }


def test_the_loss_terms_stand_with_their_status():
    theirs = published_for(read_published(), "loss_terms", "mask_AP")
    assert theirs["value"].drop("pairwise").to_dict() == {
        "box_mask": 10.6,
        "projection": 21.2,
        "both": 30.7,
        "full": 35.7,
    }
    assert theirs["status"].to_dict() == {
        "box_mask": "M",
        "projection": "M",
        "pairwise": "none",
        "both": "V",
        "full": "V",
    }


def test_rows_of_the_grids_are_named_like_their_arms():
    published = read_published()
    assert published_for(published, "color_threshold", "mask_AP").index[1] == "color_threshold=0.1"
    assert "neighborhood_size=3,neighborhood_dilation=2" in published_for(published, "neighborhood", "mask_AP").index


def test_a_run_of_the_released_setting_stands_beside_the_released_model_not_beside_test_dev(coco_config):
    published = read_published()
    configs = {"boxinst_r50_3x": coco_config(steps=270_000), "boxinst_r101_3x": coco_config(depth=101, steps=10)}
    theirs = published_for(with_released_models(published, "main", configs), "main", "mask_AP")
    assert (theirs["split"]["boxinst_r50_3x"], theirs["value"]["boxinst_r50_3x"]) == ("COCO val2017", 31.8)
    assert same_setting(configs["boxinst_r50_3x"], theirs.loc["boxinst_r50_3x"])
    assert theirs["split"]["boxinst_r101_3x"] == "COCO test-dev"  # another schedule: the study's own
    pd.testing.assert_frame_equal(with_released_models(published, "main", {}), published)


def test_nothing_is_published_for_a_new_study():
    assert published_for(read_published(), "annotation_budget", "mask_AP").empty


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("status", "W", "status 'W'"),
        ("source", " ", "no source"),
        ("value", "", "value '' with status 'M'"),
        ("value", "ten", "column value"),
        ("row", "projection", "more than one row"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path, column, value, message):
    rows = pd.read_csv(PUBLISHED_CSV, dtype=str, keep_default_na=False)
    rows.loc[0, column] = value
    rows.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(ValueError, match=rf"p\.csv.*{message}"):
        read_published(tmp_path / "p.csv")


def test_a_missing_column_is_named(tmp_path):
    pd.DataFrame(columns=COLUMNS[:-2]).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(ValueError, match="columns missing: source, note"):
        read_published(tmp_path / "p.csv")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ({"backbone": {"name": "resnet50"}}, "R-50"),
        ({"backbone": {"name": "resnet101", "deformable_interval": 1}, "pyramid": "bifpn"}, "R-101-DCN-BiFPN"),
        ({"backbone": {"name": "timm:test_resnet"}}, ""),
        ({}, ""),
    ],
)
def test_networks_are_named_as_in_published_tables(model, name):
    assert network_name(model) == name


def test_a_setting_is_data_size_network_schedule_and_batch(coco_config):
    row = {"split": "COCO val2017", "backbone": "R-50", "schedule": "1x"}
    config = coco_config()
    assert same_setting(config, row)
    others = {"split": ["COCO test-dev"], "backbone": ["R-101", ""], "schedule": ["3x", ""]}
    assert not any(same_setting(config, row | {key: other}) for key, values in others.items() for other in values)
    assert not same_setting(config | {"training": config["training"] | {"batch_size": 8}}, row)
    scaled = {"steps": 90_000, "batch_size": 2, "accumulation": 2, "schedule_batch_size": 16}
    assert same_setting(config | {"training": scaled}, row)
    voc = {"train_annotations": "annotations/instances_train_aug.json", "val_annotations": "a/instances_val.json"}
    assert split_of({"data": voc}) == "VOC 2012 val"
    assert split_of({"data": voc | {"train_annotations": "instances_train.json"}}) is None
