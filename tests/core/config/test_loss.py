"""The table of mask loss terms, and what the rest of the project reads from it."""

import pytest
from pydantic import ValidationError

from core.config import Config, LossConfig
from core.config.loss import MASK_TERMS, terms_that_learn_from

NONE = dict.fromkeys(MASK_TERMS, 0.0)


def test_each_term_learns_from_masks_or_from_boxes_by_pixels_or_by_edges() -> None:
    papers = {
        "dice": ("masks", "masks"),
        "mask_projection": ("masks", "masks"),
        "mask_pairwise": ("masks", "labeled_edges"),
        "projection": ("boxes", "box_masks"),
        "pairwise": ("boxes", "similar_edges"),
        "box_mask": ("boxes", "box_masks"),
    }
    assert papers.items() <= {name: (term.learns_from, term.target) for name, term in MASK_TERMS.items()}.items()
    assert sorted(terms_that_learn_from("masks") + terms_that_learn_from("boxes")) == sorted(MASK_TERMS)


def test_only_labels_guessed_by_color_need_a_warm_up() -> None:
    assert [name for name, term in MASK_TERMS.items() if term.warmed_up] == ["pairwise"]


def test_no_two_terms_look_alike_in_a_figure() -> None:
    assert len({term.label for term in MASK_TERMS.values()}) == len(MASK_TERMS)
    assert {term.color for term in MASK_TERMS.values()} == set(range(len(MASK_TERMS)))


@pytest.mark.parametrize("name", MASK_TERMS)
def test_one_term_above_zero_is_enough(name: str) -> None:
    loss = LossConfig(**NONE | {name: 1e-9})
    assert list(loss.used_terms) == [name]
    assert loss.terms_of_masks == (name in terms_that_learn_from("masks"))
    assert loss.terms_of_boxes == (name in terms_that_learn_from("boxes"))


def test_a_mask_loss_without_a_term_is_refused_though_the_semantic_loss_has_a_weight() -> None:
    message = f"{', '.join(MASK_TERMS)} are all 0, expected at least one mask term above 0"
    with pytest.raises(ValidationError, match=message):
        LossConfig(**NONE, semantic=1.0)


def test_boxes_that_come_first_need_a_term_that_learns_from_them() -> None:
    message = "needs a loss term that learns from boxes, one of projection, pairwise, box_mask"
    with pytest.raises(ValidationError, match=message):
        Config(supervision={"mask_ratio": 0.5, "boxes_first": 0.5}, loss=NONE | {"dice": 1.0})
    Config(supervision={"mask_ratio": 0.5, "boxes_first": 0.5}, loss=NONE | {"dice": 1.0, "box_mask": 1.0})
