from analysis.reference.settings import differing_settings, flatten

LONG = {"name": "shapes", "training": {"epochs": 16}}


def record(config, digest="a"):
    return {"config": config, "data_digest": digest}


def test_a_setting_and_the_data_that_differ_are_named():
    short = {"name": "shapes", "training": {"epochs": 2}}
    assert differing_settings(record(short), record(LONG)) == ["training.epochs: 16 -> 2"]
    assert differing_settings(record(LONG, "b"), record(LONG)) == ["data digest: a -> b"]


def test_where_the_data_lies_and_a_field_that_one_side_lacks_are_no_difference():
    ours = LONG | {"data": {"root": "/elsewhere"}, "new": 1}
    theirs = LONG | {"data": {"root": "data/shapes"}, "old": 2}
    assert differing_settings(record(ours), record(theirs)) == []
    assert differing_settings(record(LONG, None), record(LONG)) == []


def test_nested_settings_have_dotted_names_and_a_list_is_one_value():
    assert flatten({"a": {"b": 1, "c": [2, 3]}, "d": {}}) == {"a.b": 1, "a.c": [2, 3]}
