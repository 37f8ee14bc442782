from analysis.reference.settings import differing_settings
from tests.analysis.made_up import record_of

LONG = {"name": "shapes", "training": {"epochs": 16}}


def test_a_setting_and_the_data_that_differ_are_named():
    short = {"name": "shapes", "training": {"epochs": 2}}
    assert differing_settings(record_of(short), record_of(LONG)) == ["training.epochs: 16 -> 2"]
    assert differing_settings(record_of(LONG, data_digest="b"), record_of(LONG, data_digest="a")) == [
        "data digest: a -> b"
    ]


def test_where_the_data_lies_the_recipes_name_and_a_field_that_one_side_lacks_are_no_difference():
    ours = LONG | {"name": "mine", "data": {"root": "/elsewhere"}, "new": 1}
    theirs = LONG | {"data": {"root": "datasets/shapes"}, "old": 2}
    assert differing_settings(record_of(ours), record_of(theirs)) == []
