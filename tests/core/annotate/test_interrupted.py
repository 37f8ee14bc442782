"""Runs that are interrupted: what was found is written, and the same command goes on."""

import json
from pathlib import Path

import pytest
from PIL import Image

from core.annotate import detected
from core.annotate.output import OutputFolder
from tests.core.annotate.photos import run, run_command


@pytest.mark.parametrize("cause", [KeyboardInterrupt, OSError("disk full")])
def test_whatever_ends_a_run_what_was_found_is_written(checkpoint: Path, monkeypatch, cause) -> None:
    def save(output: OutputFolder, picture: Image.Image, file_name: str) -> None:
        if file_name != "a.jpg":
            raise cause

    monkeypatch.setattr(OutputFolder, "save_picture", save)
    with pytest.raises((KeyboardInterrupt, OSError)):
        run(checkpoint, 0.0)
    content = json.loads((checkpoint.parent / "out" / "annotations.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg"]
    assert {entry["image_id"] for entry in content["annotations"]} == {1}


def test_an_interrupted_run_goes_on_where_it_stopped_also_when_photos_are_added(checkpoint: Path, monkeypatch) -> None:
    photos = checkpoint.parent / "photos"
    Image.new("RGB", (64, 64), "blue").save(photos / "d.png")
    expected = run(checkpoint, 0.0, out="whole")
    assert expected.annotations
    (photos / "a.jpg").rename(checkpoint.parent / "a.jpg")
    detect = InterruptAt(monkeypatch, call=2)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, 0.0)
    (checkpoint.parent / "a.jpg").rename(photos / "a.jpg")  # so that b.png has another id now
    assert run(checkpoint, 0.0) == expected
    assert detect.calls == 4  # b.png, the interrupted d.png, a.jpg, d.png
    run(checkpoint, 0.0)  # finished: another run starts over
    assert detect.calls == 7


def test_a_run_of_another_task_starts_over_and_says_so(checkpoint: Path, monkeypatch, capsys) -> None:
    InterruptAt(monkeypatch, call=2)
    assert run_command(checkpoint, "--min-score", "0.1") == 130
    assert "out: run the same command again to resume\n" in capsys.readouterr().err
    assert run_command(checkpoint, "--min-score", "0.2") == 0
    assert "the interrupted run was not resumed: min_score is 0.1 instead of 0.2\n" in capsys.readouterr().err


class InterruptAt:
    """Interrupts the detection at one of its calls, and counts them all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, call: int) -> None:
        self.calls, self.last, self.detect = 0, call, detected.detect
        monkeypatch.setattr(detected, "detect", self)

    def __call__(self, *given, **thresholds):
        self.calls += 1
        if self.calls == self.last:
            raise KeyboardInterrupt
        return self.detect(*given, **thresholds)
