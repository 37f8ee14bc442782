"""Orders of arms are read from prose; what looks like an arm and is none is an error."""

import time

import pytest

from core.config.expectation import read_expectation

ARMS = ("box_mask", "projection", "pairwise", "both", "full")


@pytest.mark.parametrize(
    ("expectation", "orders", "has_words"),
    [
        (
            "box_mask < projection < both < full. Pairwise alone degenerates.",
            (("box_mask", "projection", "both", "full"),),
            True,
        ),
        ("box_mask < both", (("box_mask", "both"),), False),
        ("We expect box_mask < both in mask AP", (("box_mask", "both"),), True),
        (
            "`pairwise < both`, but projection < both < full.",
            (("pairwise", "both"), ("projection", "both", "full")),
            True,
        ),
        ("pairwise only degenerates", (), True),
        ("the loss falls (p < 0.05)", (), True),
        ("both < 50 at first", (), True),
        ("labor < accuracy", (), True),
        ("", (), False),
    ],
)
def test_every_expected_order_is_read_from_the_words(expectation, orders, has_words):
    assert read_expectation(expectation, ARMS) == (orders, has_words)


def test_arms_of_a_grid_are_ordered_too_and_told_from_those_that_begin_alike():
    arms = ("color_threshold=0", "color_threshold=0.1", "color_threshold=0.3")
    assert read_expectation("color_threshold=0 < color_threshold=0.1", arms) == ((arms[:2],), False)
    assert read_expectation("color_threshold=0.1 < color_threshold=0.3.", arms) == ((arms[1:],), False)


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ("fully < both", r"expectation: no arm 'fully' \(did you mean 'full'\?\)"),
        ("box_mask < projecton < both", r"no arm 'projecton' \(did you mean 'projection'\?\)"),
        ("box_msk < projecton", r"no arm 'box_msk' \(did you mean 'box_mask'\?\)"),  # none is an arm
        ("both < ful. And so on", r"no arm 'ful' \(did you mean 'full'\?\)"),
        ("both < everything", "no arm 'everything'$"),
        ("box mask < both", r"no arm 'mask' \(did you mean 'box_mask'\?\)"),
    ],
)
def test_a_misspelled_arm_in_an_expected_order_is_an_error(expectation, message):
    with pytest.raises(ValueError, match=message):
        read_expectation(expectation, ARMS)


def test_a_long_text_without_an_order_is_read_at_once() -> None:
    started = time.process_time()
    assert read_expectation("a" * 50_000, ["b"]) == ((), True)
    assert time.process_time() - started < 1
