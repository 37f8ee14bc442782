"""A COCO file filled again: what a run takes up from an interrupted one, and what it replaces."""

from pathlib import Path

import pytest
from PIL import Image

from core.annotate.output import ANNOTATIONS
from core.annotate.progress_file import PROGRESS
from tests.core.annotate.given_boxes import Counted, annotation, fill, result
from tests.core.pseudo_masks.test_teacher import HEIGHT, WIDTH


def test_a_result_is_replaced_by_the_next_run_unless_somebody_changed_it(network: Counted, tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path, replace_masks=True)
    file = tmp_path / "out" / ANNOTATIONS
    file.write_text(file.read_text() + "\n")
    with pytest.raises(ValueError, match=r"annotations\.json: was not written by core\.annotate and would be replaced"):
        fill(tmp_path)


def test_the_given_file_itself_is_never_replaced(network: Counted, tmp_path: Path) -> None:
    fill(tmp_path)
    with pytest.raises(ValueError, match=r"out/annotations\.json: --out would replace this file itself"):
        fill(tmp_path, f"out/{ANNOTATIONS}")


def test_a_run_that_was_interrupted_goes_on_and_ends_like_any_other(network: Counted, tmp_path: Path) -> None:
    whole = fill(tmp_path, out="whole")
    network.num_images, network.interrupt_at = 0, 2
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path)
    assert "segmentation" not in annotation(result(tmp_path), 6)
    assert fill(tmp_path) == whole
    assert network.num_images == 3
    assert result(tmp_path) == result(tmp_path, "whole")


def test_a_run_that_was_killed_goes_on_though_it_could_not_write_its_result(network: Counted, tmp_path: Path) -> None:
    network.interrupt_at = 2
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path)
    (tmp_path / "out" / ANNOTATIONS).unlink()
    with (tmp_path / "out" / PROGRESS).open("a") as file:
        file.write('\n{"photo": "9", "sta')  # cut in the middle of a line
    assert fill(tmp_path).num_masks == 3
    assert network.num_images == 3


def test_a_photo_that_was_exchanged_meanwhile_is_done_again(network: Counted, tmp_path: Path) -> None:
    network.interrupt_at = 2
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path)
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(tmp_path / "photos" / "deep" / "a.png")
    fill(tmp_path)
    assert network.num_images == 4


def test_other_boxes_or_another_checkpoint_are_another_task(network: Counted, tmp_path: Path) -> None:
    network.interrupt_at = 2
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"another network")
    (difference,) = fill(tmp_path).started_over
    assert difference.startswith("checkpoint is ")
    assert network.num_images == 4
