from core.config.dotted import leaves, nested


def test_dotted_and_nested_names_mean_the_same() -> None:
    assert nested({"loss.dice": 0, "loss": {"pairwise": 1}}) == {"loss": {"dice": 0, "pairwise": 1}}
    assert leaves({"loss": {"dice": 0, "pairwise": 1}}) == {"loss.dice": 0, "loss.pairwise": 1}


def test_a_list_is_one_value_and_an_empty_section_none() -> None:
    assert leaves({"name": "a", "data": {"short_sides": [64, 96], "more": {}}}) == {
        "name": "a",
        "data.short_sides": [64, 96],
    }
